"""Refs are moved all or none, and what is in the way is named."""

from __future__ import annotations

import pytest

from at_daemon.git import errors
from at_daemon.git.places import locate
from at_daemon.git.refs import Move, move_refs
from at_daemon.git.testing import Repo

pytestmark = pytest.mark.anyio


async def test_a_branch_that_bars_the_way_is_named(rig: Repo) -> None:
    rig.git("branch", "side")
    wanted = [Move("refs/heads/other", rig.sha(), ""), Move("refs/heads/side/more", rig.sha(), "")]
    with pytest.raises(errors.RefInTheWay, match="refs/heads/side is in the way of its name"):
        await move_refs(locate(rig.top).git, wanted, "at: test")
    assert rig.git("for-each-ref", "--format=%(refname)", "refs/heads").split() == [
        "refs/heads/main",
        "refs/heads/side",
    ]


async def test_a_ref_that_somebody_moved_is_named(rig: Repo) -> None:
    rig.git("branch", "side")
    with pytest.raises(errors.RefMoved, match="refs/heads/side"):
        await move_refs(locate(rig.top).git, [Move("refs/heads/side", rig.sha(), "")], "at: test")
