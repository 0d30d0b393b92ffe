"""Logs of auto-tundra: text or flat JSON lines, context ids, one redaction sink.

`logging` sets the logs up · `context` binds the ids of bead, agent and intent · `redaction` hides secrets ·
`visible` shows control characters · `lines` renders a record · `levels` reads `AT_LOG` · `errors`.
"""
