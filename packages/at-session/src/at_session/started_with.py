"""The environment that this process was started with, which is not always what the interpreter shows."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # `typing` costs start-up time
if TYPE_CHECKING:
    from collections.abc import Mapping

_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
_GIVEN = "/proc/self/environ"


def environment() -> Mapping[str, str]:
    """`os.environ`, but for the `LC_CTYPE` that an interpreter sets where its caller has no locale (PEP 538).

    Where the system does not tell what was given, that stays.
    """
    if os.environ.get("LC_CTYPE") not in _COERCED:
        return os.environ
    try:
        with open(_GIVEN, "rb") as file:
            given = dict(entry.partition(b"=")[::2] for entry in file.read().split(b"\0"))
    except OSError:
        return os.environ
    rest = {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}
    locale = given.get(b"LC_CTYPE")
    return rest if locale is None else rest | {"LC_CTYPE": os.fsdecode(locale)}
