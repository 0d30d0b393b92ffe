"""Decisions of auto-tundra about beads, agents and landings, as pure functions."""
