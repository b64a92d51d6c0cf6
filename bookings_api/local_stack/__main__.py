"""`python -m bookings_api.local_stack` is scripts/run."""

import sys

from bookings_api.local_stack.command import main

sys.exit(main())
