"""``python -m shared._cli``: the command where no script is installed."""

import sys

from shared._cli import main

sys.exit(main())
