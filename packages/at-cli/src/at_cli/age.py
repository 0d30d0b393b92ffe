"""Ages as a person types them: `3d`, `12h`, `30m`; in seconds."""

from __future__ import annotations

import re

import click

FORMS = "3d, 12h or 30m; at most 3650d"
_UNITS = {"d": 86400, "h": 3600, "m": 60}
_LONGEST = 3650 * 86400


class AgeType(click.ParamType[int]):
    """A whole number of days, hours or minutes."""

    name = "age"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """`value` in seconds; fails with the forms that there are."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,7})([dhm])", value.strip().lower())
        seconds = int(found[1]) * _UNITS[found[2]] if found else None
        if seconds is None or seconds > _LONGEST:
            raise click.BadParameter(f"{value!r} is no age ({FORMS})", ctx, param)
        return seconds


AGE = AgeType()
