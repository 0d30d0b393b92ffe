"""The command line of auto-tundra: at."""
