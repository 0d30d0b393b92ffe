"""What a need's kind is called, after the name of who needs it."""

from __future__ import annotations

WORDS = {
    "login": "cannot log in",
    "approval": "asks for approval",
    "question": "asks a question",
    "checkout": "cannot land yet",
    "unknown": "does not go on",
    "failed": "failed",
    "budget": "has used its budget",
    "review": "is proved",
}
