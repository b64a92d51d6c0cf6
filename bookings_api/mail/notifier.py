"""Tells Celery that there is mail, outside the request that wrote it.

A request sets a flag and is done; a thread of the process publishes. So a Redis that refuses or hangs costs no request
anything, and many mails at once cost one message. Nothing is lost with the thread: the mail is in the outbox, and
beat has a worker look there anyway.
"""

import logging
import threading
import time

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from bookings_api.mail import status

logger = logging.getLogger(__name__)

DRAIN = "mail.drain"
# A message that nobody took for so long has been overtaken by the sweep. So a mail server that keeps every worker
# waiting does not fill the queue with messages that other tasks would stand behind.
EXPIRES_SECONDS = 30
# At most so often, however many requests write mail: the worker that a message wakes finds all that is there.
PAUSE_SECONDS = 0.2
RETRY_SECONDS = 1
# A process that writes mail also says when nobody sends it: the worker cannot, if it is the one that is away.
WATCH_SECONDS = 60


class WorkerNotifier:
    """One for each process; its thread starts with the first mail, and so after any fork."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._wanted = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Have a worker look into the outbox soon; returns at once and never fails."""
        self._wanted.set()
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="worker-notifier", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        is_away = False
        watches_at = time.monotonic() + WATCH_SECONDS
        while True:
            if self._wanted.wait(watches_at - time.monotonic()):
                self._wanted.clear()
                is_away = not self._publish(was_away=is_away)
                time.sleep(RETRY_SECONDS if is_away else PAUSE_SECONDS)
            if time.monotonic() >= watches_at:
                self._watch()
                watches_at = time.monotonic() + WATCH_SECONDS

    def _publish(self, *, was_away: bool) -> bool:
        """Whether Redis took the message; says once that it is away, and once that it is back."""
        try:
            self._app.extensions["celery"].send_task(DRAIN, expires=EXPIRES_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever a broker may raise, the thread goes on
            self._wanted.set()
            if not was_away:
                logger.warning("mail waits in the outbox, Redis is away: %s", error)
            return False
        if was_away:
            logger.info("Redis is back, mail goes out again")
        return True

    def _watch(self) -> None:
        try:
            with self._app.app_context():
                status.log_overdue_emails()
        except SQLAlchemyError as error:
            logger.warning("cannot see whether mail is late: %s", type(error).__name__)
