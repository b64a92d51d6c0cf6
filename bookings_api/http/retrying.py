"""What PostgreSQL undid because two transactions were in each other's way is done again, a few times.

Here, around the whole view, and nowhere else: a request is one use case with one transaction, so when that was rolled
back nothing has happened, and the second run reads, checks and locks everything anew. Tasks need none of it: what one
leaves undone the next sweep finds.
"""

import logging
import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from sqlalchemy.exc import OperationalError

from bookings_api.extensions import db

logger = logging.getLogger(__name__)

# serialization_failure, deadlock_detected: PostgreSQL documentation, section 13.5
COLLISIONS = {"40001", "40P01"}
ATTEMPTS = 4
# At most, before the second attempt; doubled for each further one. Random, so that the two do not meet again.
PAUSE_SECONDS = 0.05

View = TypeVar("View", bound=Callable[..., Any])


def retried(view: View) -> View:
    """Run `view` again when its transaction lost a collision; after the last attempt the error goes on its way."""

    @wraps(view)
    def run(*args: Any, **kwargs: Any) -> Any:
        for number in range(ATTEMPTS - 1):
            try:
                return view(*args, **kwargs)
            except OperationalError as error:
                code = getattr(error.orig, "pgcode", None)
                if code not in COLLISIONS:
                    raise
                db.session.rollback()  # a collision of reads, too, leaves a transaction that is of no more use
                logger.info("attempt %d lost a collision: %s", number + 1, code)
                time.sleep(random.uniform(0, PAUSE_SECONDS * 2**number))  # noqa: S311 - guards nothing
        return view(*args, **kwargs)

    return run  # type: ignore[return-value] # wraps() keeps what it looks like
