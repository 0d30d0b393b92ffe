"""The daemon of auto-tundra: store writer, API, executor, supervisor."""
