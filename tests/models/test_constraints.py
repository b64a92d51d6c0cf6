"""Database constraints, which hold even for manual changes."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.exc import IntegrityError

from tests.factories import book, make_event, make_user


def _refused_by(database: sa.Engine, statement: str, **values: Any) -> str | None:
    """Name of the constraint that refuses the statement."""
    with pytest.raises(IntegrityError) as caught, database.begin() as connection:
        connection.execute(sa.text(statement), values)
    name: str | None = caught.value.orig.diag.constraint_name
    return name


@pytest.mark.parametrize("tickets", [11, -1])
def test_a_manual_change_cannot_oversell_an_event(client: FlaskClient, database: sa.Engine, tickets: int) -> None:
    make_event(client, capacity=10)

    assert (
        _refused_by(database, "UPDATE events SET tickets_booked = :tickets", tickets=tickets)
        == "ck_events_not_oversold"
    )


def test_a_manual_change_cannot_cut_capacity_below_the_tickets_booked(client: FlaskClient, database: sa.Engine) -> None:
    book(client, make_user(client), make_event(client, capacity=3), ticket_count=3)

    assert _refused_by(database, "UPDATE events SET capacity = 2") == "ck_events_not_oversold"


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("ends_at = starts_at", "ck_events_ends_after_start"),
        ("capacity = 0", "ck_events_capacity_in_range"),
        ("status = 'gone'", "ck_events_status"),
        ("max_tickets_per_booking = 0", "ck_events_booking_limit_in_range"),
        ("organizer_id = gen_random_uuid()", "fk_events_organizer_id_users"),
        ("booking_opens_at = now(), booking_closes_at = now()", "ck_events_booking_window_in_order"),
    ],
)
def test_an_inconsistent_event_is_refused(
    client: FlaskClient, database: sa.Engine, change: str, constraint: str
) -> None:
    make_event(client)

    assert _refused_by(database, f"UPDATE events SET {change}") == constraint


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("ticket_count = 0", "ck_bookings_ticket_count_in_range"),
        ("status = 'cancelled'", "ck_bookings_cancelled_at_if_cancelled"),
        ("event_id = gen_random_uuid()", "fk_bookings_event_id_events"),
        ("user_id = gen_random_uuid()", "fk_bookings_user_id_users"),
    ],
)
def test_an_inconsistent_booking_is_refused(
    client: FlaskClient, database: sa.Engine, change: str, constraint: str
) -> None:
    book(client, make_user(client), make_event(client))

    assert _refused_by(database, f"UPDATE bookings SET {change}") == constraint


def test_booking_references_are_unique(client: FlaskClient, database: sa.Engine) -> None:
    user, event = make_user(client), make_event(client)
    book(client, user, event)
    book(client, user, event)

    assert _refused_by(database, "UPDATE bookings SET reference = 'AAAAAAAAAA'") == "uq_bookings_reference"


def test_email_addresses_are_unique_in_any_case(client: FlaskClient, database: sa.Engine) -> None:
    user = make_user(client)

    statement = "INSERT INTO users (id, email, password_hash) VALUES (gen_random_uuid(), :email, 'x')"

    assert _refused_by(database, statement, email=user.email.upper()) == "uq_users_email_lower"
