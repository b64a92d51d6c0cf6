"""Measures how fast one Celery worker empties a full outbox, compared with a plain smtplib loop.

    .venv/bin/python -m scripts.benchmarks.mail [--emails 10000] [--rounds 3]

PostgreSQL, Valkey, the worker (one process) and the SMTP server run on this machine. The SMTP server (aiosmtpd)
discards all emails. The loop sends the bytes of an email from the outbox over one connection, without the database.
Rounds of worker and loop alternate. Compare the ratio of their medians.
"""

import argparse
import os
import smtplib
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade

from bookings_api import create_app
from bookings_api.database.transactions import transaction
from bookings_api.extensions import db
from bookings_api.local_stack.processes import ROOT, Child
from bookings_api.local_stack.servers import LocalStack
from bookings_api.mail import messages, mime, outbox
from bookings_api.models import UNSENT, Booking, EmailKind, Event, OutboxEmail
from bookings_api.models.payloads import booking_payload, event_payload
from config import Config

BATCH = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--emails", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-mail-") as directory, LocalStack(Path(directory)) as stack:
        stack.start_postgres()
        stack.start_valkey()
        stack.start_smtp_sink(discard=True)
        os.environ |= stack.defaults | stack.settings | {"PUBLIC_URL": "http://localhost", "LOG_LEVEL": "WARNING"}
        app = create_app(Config.from_environment(Path(os.devnull)))
        with app.app_context():
            upgrade(str(ROOT / "migrations"))
            _measure(app, stack, options)


def _measure(app: Flask, stack: LocalStack, options: argparse.Namespace) -> None:
    worker_rates, loop_rates = [], []
    print(f"{options.emails} emails, {os.cpu_count()} cores")
    print(f"{'round':>6}  {'worker/s':>9}  {'loop/s':>9}  {'ratio':>6}")
    for number in range(1, options.rounds + 1):
        message = _fill(options.emails)
        worker_rates.append(options.emails / _drain(app, stack))
        loop_rates.append(options.emails / _send_in_a_loop(int(stack.settings["MAIL_PORT"]), message, options.emails))
        _print_row(str(number), worker_rates[-1], loop_rates[-1])
    _print_row("median", statistics.median(worker_rates), statistics.median(loop_rates))


def _print_row(name: str, worker: float, loop: float) -> None:
    print(f"{name:>6}  {worker:>9.0f}  {loop:>9.0f}  {worker / loop:>6.2f}", flush=True)


def _fill(count: int) -> bytes:
    """Write `count` due emails to the outbox, and return the bytes of the last email."""
    now = datetime.now(UTC)
    event = Event(
        title="An Evening of Chamber Music", location="Konzerthaus Berlin", timezone="Europe/Berlin",
        starts_at=now, ends_at=now, version=1,
    )  # fmt: skip
    booking = Booking(reference="K7M3PTW9XA", guest_name="Grace Hopper", ticket_count=2, version=1)
    payload = event_payload(event) | booking_payload(booking)
    for first in range(0, count, BATCH):
        with transaction():
            for number in range(first, min(first + BATCH, count)):
                email = outbox.add_email(
                    kind=EmailKind.BOOKING_CONFIRMED, recipient=f"guest{number}@example.com", payload=payload
                )
    db.session.expire_all()
    return mime.compose(email, messages.render(email.kind, email.payload)).as_bytes()


def _drain(app: Flask, stack: LocalStack) -> float:
    """Start a worker and wait until the outbox is empty. Returns the seconds between the first and the last email."""
    since = db.session.scalars(sa.select(sa.func.now())).one()
    db.session.rollback()
    command = [sys.executable, "-m", "celery", "--quiet", "--app=wsgi.celery", "worker", "--concurrency=1", "--beat"]
    worker = Child("Celery worker", command, log=stack.log_of("worker"))
    unsent = sa.select(sa.func.count()).where(OutboxEmail.status.in_(UNSENT))
    while db.session.scalars(unsent).one():
        worker.require_running()
        db.session.rollback()
        time.sleep(0.5)
    worker.stop()
    sent_at = OutboxEmail.sent_at
    took = sa.type_coerce(sa.func.max(sent_at) - sa.func.min(sent_at), sa.Interval)
    seconds = db.session.scalars(sa.select(took).where(sent_at > since)).one().total_seconds()
    db.session.rollback()
    return seconds


def _send_in_a_loop(port: int, message: bytes, count: int) -> float:
    """Send `message` `count` times over one connection, and return the duration in seconds."""
    with smtplib.SMTP("127.0.0.1", port) as connection:
        began = time.perf_counter()
        for number in range(count):
            connection.sendmail("tickets@example.com", f"guest{number}@example.com", message)
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
