"""Types, event vocabulary, store, configuration and API client of auto-tundra."""
