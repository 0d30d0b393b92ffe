"""What is left over, shown and removed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from at_core.api import TidyRequest
from at_daemon import tidying
from at_daemon.edge import Call
from at_daemon.handlers.named import rig_at
from at_daemon.parts import Parts

Json = dict[str, Any]


async def leftovers(parts: Parts, call: Call) -> Json:
    """What may go now, and what that frees."""
    found = await tidying.leftovers(parts, await rig_at(parts, call.query["path"]))
    return _document(parts, found)


async def tidy(parts: Parts, call: Call) -> Json:
    """Remove what was shown and still may go."""
    request: TidyRequest = call.body
    keys = set(request.keys)
    async with parts.tidying:
        found = await tidying.leftovers(parts, await rig_at(parts, request.path))
        wanted = [each for each in found if each.key in keys]
        stayed = await tidying.remove(parts, wanted)
    names = {each.key for each, _ in stayed}
    left = [{**each.document(), "error": why} for each, why in stayed]
    return {**_document(parts, [each for each in wanted if each.key not in names]), "left": left}


def _document(parts: Parts, found: list[tidying.Leftover]) -> Json:
    return {
        "leftovers": [each.document() for each in found],
        "bytes": sum(each.size for each in found),
        "days": parts.clis.config().general.tidy_days,
    }


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {"leftovers": leftovers, "tidy": tidy}
