"""Durable sessions for command-line agents: holder, journal, headless terminal, drivers."""
