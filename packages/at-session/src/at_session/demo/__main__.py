"""Lets `python -I -S path/to/at_session/demo` run: such an interpreter sees no installed package, so we say where."""

from __future__ import annotations

import os
import sys

sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from at_session.demo.agent import main  # noqa: E402 - the path must be set first

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
