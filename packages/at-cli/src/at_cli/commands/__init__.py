"""One file a verb; each has `command`. `at_cli.verbs` is their table."""
