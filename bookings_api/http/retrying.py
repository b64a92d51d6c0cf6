"""Retries requests whose transaction PostgreSQL rolled back because of a conflict with another one.

The retry surrounds the whole view and is the only one: a request is one use case with one transaction, so after a
rollback nothing has happened, and the next attempt reads, checks and locks everything anew. Tasks need no retry: the
next sweep finds what they left undone.
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
# Longest pause before the second attempt, doubled for each further one. Random, so the two do not collide again.
PAUSE_SECONDS = 0.05

View = TypeVar("View", bound=Callable[..., Any])


def retried(view: View) -> View:
    """Run `view` again if its transaction was rolled back by a collision; the last attempt's error is raised."""

    @wraps(view)
    def run(*args: Any, **kwargs: Any) -> Any:
        for number in range(ATTEMPTS - 1):
            try:
                return view(*args, **kwargs)
            except OperationalError as error:
                code = getattr(error.orig, "pgcode", None)
                if code not in COLLISIONS:
                    raise
                db.session.rollback()  # the session's transaction cannot be used any more
                logger.info("attempt %d lost a collision: %s", number + 1, code)
                time.sleep(random.uniform(0, PAUSE_SECONDS * 2**number))  # noqa: S311 - not a secret
        return view(*args, **kwargs)

    return run  # type: ignore[return-value] # wraps() keeps its signature
