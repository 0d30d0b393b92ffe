"""`python -m at_cli`, for a Python whose path no `#!` line can hold."""

import sys

from at_cli.fast import main

sys.exit(main())
