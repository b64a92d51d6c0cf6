"""`scripts/checkout` sells tickets with a running service, and finds every refund that is due."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Booking, BookingStatus, Payment
from tests.factories import make_key, make_owner
from tests.service import Service

ROOT = Path(__file__).parents[2]


@pytest.fixture
def waiting(service: Service, client: FlaskClient) -> Iterator[subprocess.Popen[str]]:
    """The script at the moment when it waits for unpaid holds to end."""
    key = make_key(client, make_owner(client), scopes=["events:write", "bookings:read", "bookings:write"])
    command = [sys.executable, "-m", "scripts.checkout", "--url", service.url, "--customers", "1"]
    environment = os.environ | {"BOOKINGS_API_KEY": key.token}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as script:
        try:
            assert script.stdout.readline().startswith("Event: ")
            assert script.stdout.readline() == "Waiting until the unpaid holds end.\n"
            yield script
        finally:
            script.kill()


def _end_holds(database: sa.Engine) -> None:
    ended = sa.update(Booking).where(Booking.status == BookingStatus.HELD)
    with database.begin() as connection:
        connection.execute(ended.values(held_until=sa.func.now() - sa.text("interval '2 seconds'")))


@pytest.mark.usefixtures("audited")
def test_money_and_tickets_agree_however_customers_pay(waiting: subprocess.Popen[str], database: sa.Engine) -> None:
    _end_holds(database)

    output, _ = waiting.communicate(timeout=60)

    assert waiting.returncode == 0, output
    assert "1 already_paid, 1 booking_cancelled, 1 hold_expired, 3 payment_mismatch\n" in output
    assert "Money and tickets agree." in output


def test_a_lost_payment_is_reported(waiting: subprocess.Popen[str], database: sa.Engine) -> None:
    lost = sa.select(Payment.id).where(Payment.refusal == "already_paid").scalar_subquery()
    with database.begin() as connection:
        connection.execute(sa.delete(Payment).where(Payment.id == lost))
    _end_holds(database)

    output, _ = waiting.communicate(timeout=60)

    assert waiting.returncode == 1, output
    assert "DIFFERENCES" in output
    assert "(3600, 'EUR'), found missing" in output
    assert "refund_due of booking" in output
