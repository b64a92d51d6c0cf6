"""Small reads of many requests at once, on one connection that no other work keeps busy."""

from collections.abc import Callable, Mapping
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from bookings_api.database.engine import unpooled_engine
from bookings_api.database.timeouts import CONNECT_SECONDS
from bookings_api.database.unresponsive import time_limit
from bookings_api.http.response_cache.single_flight import SingleFlight

# The same function for all requests that may share its result.
Read = Callable[[sa.Connection], Any]


class SharedReads:
    """Runs each read that several requests ask for once, after all of them have asked.

    A request waits for two batches at most, the one under way and its own, and for each no longer than
    `CONNECT_SECONDS`. Raises SQLAlchemy's errors.
    """

    def __init__(self, app: flask.Flask) -> None:
        self._engine = unpooled_engine(app)
        self._connection: sa.Connection | None = None
        self._run: SingleFlight[Read, Any] = SingleFlight(self._run_batch)

    def __call__(self, read: Read) -> Any:
        return self._run(read)

    def _run_batch(self, reads: set[Read]) -> Mapping[Read, Any]:
        is_new = self._connection is None
        try:
            with time_limit(CONNECT_SECONDS):
                connection = self._connection = self._connection or self._engine.connect()
                return {read: read(connection) for read in reads}
        except DBAPIError as error:
            self._close()
            if is_new or not error.connection_invalidated:
                raise
            return self._run_batch(reads)  # the connection was lost since it was last used

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
