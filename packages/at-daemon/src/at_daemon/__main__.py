"""`python -m at_daemon`."""

import sys

from at_daemon.main import main

sys.exit(main())
