"""What an agent is told of where it works."""

from __future__ import annotations

from at_agents.prompts import instructions


def test_an_adopted_session_is_told_where_it_was_begun_and_where_it_is_now() -> None:
    assert "conversation" not in instructions("at/1-work", "main")
    top = instructions("at/1-work", "main", "/srv/app")
    assert "begun in /srv/app. Your clone is a copy of that folder as it was, with what" in top
    below = instructions("at/1-work", "main", "/srv/app", "/srv/app/web")
    assert "begun in /srv/app/web. Your clone, at whose top you are now, is a copy of /srv/app as" in below
