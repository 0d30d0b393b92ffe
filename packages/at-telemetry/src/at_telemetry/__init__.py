"""Logs of auto-tundra: text or flat JSON lines, context ids, one redaction sink."""
