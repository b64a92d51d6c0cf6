"""Notifies Celery workers of new emails, from a background thread of the process that wrote the emails.

A request only sets a flag. Therefore an unavailable Redis never delays the request, and many emails need only one
Celery message. If the message is lost, the emails are still sent, because beat makes workers check the outbox every ten
seconds.
"""

import logging
import threading
import time

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from bookings_api.mail import status

logger = logging.getLogger(__name__)

DRAIN = "mail.drain"
# After this time, beat has sent another message anyway. Without an expiry, messages would pile up in front of other
# tasks while a slow mail server occupies all workers.
EXPIRES_SECONDS = 30
# The pause between messages. One message is enough for many emails, because a worker sends all due emails.
PAUSE_SECONDS = 0.2
RETRY_SECONDS = 1
# Processes that write emails also check for overdue emails, because beat or all workers may have stopped.
WATCH_SECONDS = 60


class WorkerNotifier:
    """Publishes the Celery messages that wake workers. Each process has one notifier.

    The notifier's thread starts with the first email, because threads do not survive the fork of a web process.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._requested = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Ask a worker to check the outbox. Returns immediately and never fails."""
        self._requested.set()
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="worker-notifier", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        is_down = False
        watches_at = time.monotonic() + WATCH_SECONDS
        while True:
            if self._requested.wait(watches_at - time.monotonic()):
                self._requested.clear()
                is_down = not self._publish(was_down=is_down)
                time.sleep(RETRY_SECONDS if is_down else PAUSE_SECONDS)
            if time.monotonic() >= watches_at:
                self._watch()
                watches_at = time.monotonic() + WATCH_SECONDS

    def _publish(self, *, was_down: bool) -> bool:
        """Publish a message and return whether Redis accepted it. Logs only the start and the end of an outage."""
        try:
            self._app.extensions["celery"].send_task(DRAIN, expires=EXPIRES_SECONDS)
        except Exception as error:  # noqa: BLE001 - the thread must survive whatever a broker raises
            self._requested.set()
            if not was_down:
                logger.warning("emails wait in the outbox because Redis is unavailable: %s", error)
            return False
        if was_down:
            logger.info("Redis is available again; emails are being sent")
        return True

    def _watch(self) -> None:
        try:
            with self._app.app_context():
                status.log_overdue_emails()
        except SQLAlchemyError as error:
            logger.warning("cannot check for overdue emails: %s", type(error).__name__)
