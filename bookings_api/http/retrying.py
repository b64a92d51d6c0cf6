"""Retries views whose transaction PostgreSQL has aborted because of a conflict with another transaction.

The whole view runs again, including all reads and checks. If a view has several transactions, the earlier transactions
stay committed, so the view must be safe to repeat. Celery tasks are not retried, because their next run does the
remaining work.
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

# serialization_failure and deadlock_detected (PostgreSQL documentation, section 13.5)
CONFLICTS = {"40001", "40P01"}
ATTEMPTS = 4
# The maximum pause before the second attempt. The maximum doubles before each further attempt. Pauses are random, so
# that the same requests do not conflict again.
PAUSE_SECONDS = 0.05

View = TypeVar("View", bound=Callable[..., Any])


def retried(view: View) -> View:
    """Wrap `view` so that it runs again if a conflict aborts its transaction. Raises the error of the last attempt."""

    @wraps(view)
    def run(*args: Any, **kwargs: Any) -> Any:
        for number in range(ATTEMPTS - 1):
            try:
                return view(*args, **kwargs)
            except OperationalError as error:
                code = getattr(error.orig, "pgcode", None)
                if code not in CONFLICTS:
                    raise
                db.session.rollback()  # makes the session usable again
                logger.info("attempt %d was aborted by a conflict: %s", number + 1, code)
                time.sleep(random.uniform(0, PAUSE_SECONDS * 2**number))  # noqa: S311 - not a secret
        return view(*args, **kwargs)

    return run  # type: ignore[return-value] # wraps() keeps its signature
