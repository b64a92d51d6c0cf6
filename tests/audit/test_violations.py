"""The audit finds every kind of violation. Each test causes one in a transaction that is rolled back."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.audit import violations
from bookings_api.audit.constraints import rules
from bookings_api.audit.rules import RULES
from bookings_api.mail.tasks import drain
from bookings_api.models import Base
from tests.factories import API, book, make_event, make_organizer, make_user

DAYS = timedelta(days=90)

# What breaks each rule, given the data of the fixture.
PLANTED = {
    "tickets_booked": "UPDATE events SET tickets_booked = tickets_booked + 1",
    "tickets_held": "UPDATE ticket_types SET tickets_held = tickets_held + 1",
    "booking_items": "DELETE FROM booking_items",
    "item_of_other_event": """
        INSERT INTO events (id, organization_id, organizer_id, title, location, timezone, starts_at, ends_at, status,
                            capacity)
        SELECT gen_random_uuid(), organization_id, organizer_id, title, location, timezone, starts_at, ends_at, 'draft',
               1 FROM events;
        UPDATE ticket_types SET event_id = (SELECT id FROM events WHERE capacity = 1)""",
    "type_larger_than_event": "UPDATE ticket_types SET capacity = 11",
    "event_without_type": "UPDATE ticket_types SET deleted_at = now()",
    "oversold": "UPDATE bookings SET ticket_count = 11",
    "active_for_unpublished_event": "UPDATE events SET status = 'draft'",
    "waiting_although_available": """
        UPDATE bookings SET status = 'waitlisted', waitlisted_at = now() WHERE status = 'confirmed'""",
    "amount_due": "UPDATE booking_items SET price = 1",
    "unpaid": "UPDATE bookings SET amount_due = 1, currency = 'EUR'",
    "payments": "UPDATE bookings SET amount_paid = 1",
    "payment_of_other_organization": """
        INSERT INTO organizations (id, name) VALUES (gen_random_uuid(), 'Another organization');
        INSERT INTO payments (id, organization_id, booking_id, provider, reference, amount, currency)
        SELECT gen_random_uuid(), organizations.id, bookings.id, 'stripe', bookings.id, 1, 'EUR'
        FROM bookings, organizations WHERE organizations.name = 'Another organization'""",
    "deleted_but_published": "UPDATE events SET deleted_at = now()",
    "time_zone": "UPDATE events SET timezone = 'Europe/Atlantis'",
    "event_times": "UPDATE events SET starts_at = '9999-12-31T23:59:59-12:00', ends_at = '10000-02-02T00:00:00Z'",
    "reference": "UPDATE bookings SET reference = overlay(reference placing 'O' from 1)",
    "event_version": "UPDATE bookings SET event_version = 99",
    "version": "UPDATE users SET version = 0",
    "idempotency_key": "UPDATE idempotency_keys SET actor_id = (SELECT organizer_id FROM events)",
    "confirmation_email_missing": "DELETE FROM outbox_emails WHERE kind = 'booking_confirmed'",
    "cancellation_email_missing": "DELETE FROM outbox_emails WHERE kind = 'booking_cancelled'",
    "change_email_count": "DELETE FROM outbox_emails WHERE kind = 'booking_changed'",
    "duplicate_cancellation_email": "UPDATE outbox_emails SET kind = 'booking_cancelled'",
    "cancellation_email_for_confirmed": "UPDATE bookings SET status = 'confirmed', cancelled_at = NULL",
    "reminder": "UPDATE bookings SET reminded_for = now()",
    "duplicate_reminder": """
        INSERT INTO outbox_emails (id, kind, recipient, payload, booking_id, message_id)
        SELECT gen_random_uuid(), 'event_reminder', guest_email, '{"starts_at": "2099-06-19T17:30:00Z"}', id, n
        FROM (SELECT * FROM bookings LIMIT 1) AS booking, (VALUES ('first'), ('second')) AS emails (n)""",
    "broadcast": "DELETE FROM outbox_emails WHERE kind = 'event_changed'",
    "email_reference_missing": "UPDATE outbox_emails SET booking_id = NULL",
    "email_reference_mismatch": "UPDATE outbox_emails SET user_id = (SELECT organizer_id FROM events)",
    "message_id": "UPDATE outbox_emails SET message_id = '<1' || id || '@example.com>'",
    "email_never_due": """
        UPDATE outbox_emails SET status = 'pending', sent_at = NULL, next_attempt_at = now() + interval '2 days'""",
    "email_without_attempt": "UPDATE outbox_emails SET attempts = 0",
    "no_organizer": "UPDATE users SET password_hash = NULL",
    "access_of_inactive_account": "UPDATE users SET is_active = false",
    "ck_events_not_oversold": """
        ALTER TABLE events DROP CONSTRAINT ck_events_not_oversold; UPDATE events SET tickets_booked = 11""",
    "ck_bookings_status": """
        ALTER TABLE bookings DROP CONSTRAINT ck_bookings_status;
        UPDATE bookings SET status = 'lost' WHERE status = 'confirmed'""",
    "ck_bookings_cancelled_at_if_cancelled": """
        ALTER TABLE bookings DROP CONSTRAINT ck_bookings_cancelled_at_if_cancelled;
        UPDATE bookings SET cancelled_at = NULL""",
    "fk_bookings_user_id_users": """
        ALTER TABLE bookings DISABLE TRIGGER ALL; UPDATE bookings SET user_id = gen_random_uuid()""",
    "fk_logins_user_id_users": """
        ALTER TABLE logins DISABLE TRIGGER ALL; UPDATE logins SET user_id = gen_random_uuid()""",
    "uq_bookings_reference": """
        ALTER TABLE bookings DROP CONSTRAINT uq_bookings_reference; UPDATE bookings SET reference = 'AAAAAAAAAA'""",
    "uq_users_email_lower": """
        DROP INDEX uq_users_email_lower;
        UPDATE users SET email = CASE WHEN id IN (SELECT organizer_id FROM events) THEN 'A@b' ELSE 'a@b' END""",
    "pk_logins": """
        ALTER TABLE logins DROP CONSTRAINT pk_logins; INSERT INTO logins SELECT * FROM logins""",
    "nn_bookings": """
        ALTER TABLE bookings ALTER guest_name DROP NOT NULL; UPDATE bookings SET guest_name = NULL""",
}

_WEAKENED = """
    ALTER TABLE events DROP CONSTRAINT ck_events_capacity_in_range;
    ALTER TABLE events ADD CONSTRAINT ck_events_capacity_in_range CHECK (capacity > 0) NOT VALID
"""


@pytest.fixture
def valid_data(app: Flask, client: FlaskClient, database: sa.Engine) -> Iterator[sa.Connection]:
    """Yield a connection to valid data, rolled back afterwards.

    A moved event with two bookings: one confirmed, one changed and then cancelled. All emails are sent or dropped.
    """
    organizer, user = make_organizer(client), make_user(client)
    event = make_event(client, organizer)
    headers = {**user.headers, "Idempotency-Key": "a-key"}
    client.post(f"{API}/bookings/", headers=headers, json={"event_id": event["id"], "ticket_count": 2})
    cancelled = book(client, user, event).json
    client.patch(f"{API}/bookings/{cancelled['id']}", headers=user.headers, json={"ticket_count": 3})
    client.delete(f"{API}/bookings/{cancelled['id']}", headers=user.headers)
    client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"location": "Philharmonie"})
    with app.app_context():
        drain()
    with database.connect() as connection:
        assert (
            connection.scalar(sa.text("SELECT count(*) FROM outbox_emails WHERE status NOT IN ('sent', 'dropped')"))
            == 0
        )
        yield connection
        connection.rollback()


def _found(connection: sa.Connection, since: timedelta = DAYS) -> set[str]:
    return {violation.rule for violation in violations(connection, emails_since=since)}


def test_valid_data_has_no_violations(valid_data: sa.Connection) -> None:
    assert [str(violation) for violation in violations(valid_data, emails_since=DAYS)] == []


@pytest.mark.parametrize("rule", PLANTED)
def test_each_violation_is_found_by_its_rule(valid_data: sa.Connection, rule: str) -> None:
    valid_data.execute(sa.text(PLANTED[rule]))

    assert rule in _found(valid_data)


def test_every_rule_across_rows_is_broken_by_these_tests() -> None:
    assert RULES.keys() <= PLANTED.keys()


def test_the_audit_checks_every_constraint() -> None:
    constraints = {str(constraint.name) for table in Base.metadata.sorted_tables for constraint in table.constraints}

    assert constraints <= {name for name, _ in rules()}


def test_a_violation_names_the_row(valid_data: sa.Connection) -> None:
    event_id = valid_data.scalar(sa.text("UPDATE events SET tickets_booked = 7 RETURNING id"))

    (found,) = violations(valid_data, emails_since=DAYS)

    assert str(found) == (
        f"tickets_booked: event {event_id}: tickets_booked is 7, but its confirmed bookings have 2 tickets"
    )
    assert found.row_id == str(event_id)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("ALTER TABLE events DROP CONSTRAINT ck_events_status", "constraint ck_events_status of events is missing"),
        ("DROP INDEX ix_events_listed", "index ix_events_listed of events is missing"),
        ("DROP TRIGGER event_catalog_changed ON events", "trigger event_catalog_changed of events is missing"),
        (
            "ALTER TABLE events DISABLE TRIGGER event_catalog_changed",
            "trigger event_catalog_changed of events is disabled",
        ),
        ("ALTER TABLE logins DISABLE TRIGGER ALL", "trigger fk_logins_user_id_users of logins is disabled"),
        ("ALTER TABLE bookings ALTER guest_name DROP NOT NULL", "column bookings.guest_name is nullable"),
        ("DELETE FROM alembic_version", "migration"),
        (_WEAKENED, "constraint ck_events_capacity_in_range of events is not validated"),
    ],
)
def test_a_missing_or_disabled_schema_object_is_found(valid_data: sa.Connection, change: str, sentence: str) -> None:
    valid_data.execute(sa.text(change))

    (found,) = violations(valid_data, emails_since=DAYS)

    assert found.rule == "schema"
    assert sentence in found.message


@pytest.mark.parametrize(
    "change",
    ["DROP TABLE alembic_version", "DROP TABLE outbox_emails", "ALTER TABLE bookings DROP ticket_count"],
)
def test_a_missing_table_or_column_skips_the_row_rules(valid_data: sa.Connection, change: str) -> None:
    valid_data.execute(sa.text(f"{change}; UPDATE events SET tickets_booked = 7"))

    assert _found(valid_data) == {"schema"}


def test_emails_are_expected_only_within_their_retention_period(valid_data: sa.Connection) -> None:
    valid_data.execute(sa.text("DELETE FROM outbox_emails"))
    valid_data.execute(sa.text("UPDATE bookings SET created_at = now() - interval '30 days'"))
    valid_data.execute(sa.text("UPDATE bookings SET confirmed_at = created_at"))
    valid_data.execute(sa.text("UPDATE bookings SET cancelled_at = created_at WHERE cancelled_at IS NOT NULL"))
    valid_data.execute(sa.text("UPDATE event_broadcasts SET created_at = now() - interval '30 days'"))

    assert _found(valid_data, timedelta(days=31)) == {
        "confirmation_email_missing", "change_email_count", "cancellation_email_missing", "broadcast",
    }  # fmt: skip
    assert _found(valid_data, timedelta(days=30)) == set()
