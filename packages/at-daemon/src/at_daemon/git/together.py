"""Several steps at once, with errors as if they had run one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from at_core.errors import AtError


async def together(*steps: Callable[[], Awaitable[object]]) -> None:
    """Run all steps to their end. The first `AtError` or `OSError` cancels the others and is raised itself.

    A plain task group would wrap it into an exception group that no caller of a single operation expects.
    """
    failed: list[AtError | OSError] = []

    async with anyio.create_task_group() as group:

        async def run(step: Callable[[], Awaitable[object]]) -> None:
            try:
                await step()
            except (AtError, OSError) as error:
                failed.append(error)
                group.cancel_scope.cancel()

        for step in steps:
            group.start_soon(run, step)
    if failed:
        raise failed[0]
