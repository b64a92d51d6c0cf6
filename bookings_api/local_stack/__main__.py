"""Entry point of `python -m bookings_api.local_stack`."""

import sys

from bookings_api.local_stack.command import main

sys.exit(main())
