"""Lets concurrent requests share a database read. Shared reads use a connection outside the pool."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from bookings_api.database.engine import unpooled_engine
from bookings_api.database.timeouts import CONNECT_SECONDS
from bookings_api.database.unresponsive import time_limit

# A function that reads from the database. Concurrent requests that pass the same function share its result.
Read = Callable[[sa.Connection], Any]


class _Batch:
    """The keys and results of one call of `read`. `done` is locked until the call ends."""

    __slots__ = ("done", "error", "keys", "values")

    def __init__(self) -> None:
        self.keys: set[Any] = set()
        self.values: Mapping[Any, Any] = {}
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()


class SingleFlight:
    """Returns values by key. Calls `read` only once for all keys that concurrent requests need.

    `read` gets a set of keys and returns their values. Only one call runs at a time. Requests that arrive during a call
    share the next call, so a request never gets a value that was read before the request arrived. If a call fails, all
    requests that share the call raise its error.
    """

    def __init__(self, read: Callable[[set[Any]], Mapping[Any, Any]]) -> None:
        self._read = read
        self._reading = threading.Lock()
        self._joining = threading.Lock()
        self._next: _Batch | None = None

    def __call__(self, key: Any) -> Any:
        with self._joining:
            batch, is_first = self._next, self._next is None
            if batch is None:
                batch = self._next = _Batch()
            batch.keys.add(key)
        if is_first:
            self._run(batch)
        else:
            with batch.done:
                pass
        if batch.error is not None:
            raise batch.error.with_traceback(None)
        return batch.values[key]

    def _run(self, batch: _Batch) -> None:
        try:
            with self._reading:
                self._close(batch)
                batch.values = self._read(batch.keys)
        except BaseException as error:  # noqa: BLE001 - __call__ raises it for every caller
            batch.error = error
        finally:
            self._close(batch)
            batch.done.release()

    def _close(self, batch: _Batch) -> None:
        with self._joining:
            if self._next is batch:
                self._next = None


class SingleFlightReads(SingleFlight):
    """Runs each `Read` function only once for all concurrent requests. Raises SQLAlchemy's errors.

    A request waits for at most two batches of reads, and each batch takes at most `CONNECT_SECONDS`.
    """

    def __init__(self, app: flask.Flask) -> None:
        super().__init__(self._read_all)
        self._engine = unpooled_engine(app)
        self._connection: sa.Connection | None = None

    def _read_all(self, reads: set[Read]) -> Mapping[Read, Any]:
        with time_limit(CONNECT_SECONDS):
            try:
                return self._run_reads(reads)
            except DBAPIError as error:
                # the connection may have been lost since its last use
                if not error.connection_invalidated:
                    raise
                return self._run_reads(reads)

    def _run_reads(self, reads: set[Read]) -> Mapping[Read, Any]:
        connection = self._connection = self._connection or self._engine.connect()
        try:
            return {read: read(connection) for read in reads}
        except DBAPIError:
            connection.close()
            self._connection = None
            raise
