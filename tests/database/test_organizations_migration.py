"""Migration 0006 keeps the accounts, events and bookings of an existing service working, and can be reverted."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import create_access_token
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a class

from bookings_api import audit, create_app
from bookings_api.accounts.one_time_tokens import token_of
from bookings_api.accounts.passwords import hash_password
from bookings_api.extensions import db
from config import Config
from tests.conftest import NO_ENV_FILE
from tests.database.migrating import connected, flask_db
from tests.documented import DocumentedClient
from tests.factories import API, EVENT, PASSWORD, Account

# name, role, has a password, is active
PEOPLE = [
    ("olivia", "organizer", True, True),
    ("otto", "organizer", True, True),
    ("former", "organizer", True, False),
    ("uri", "user", True, True),
    ("inactive", "user", True, False),
    ("invited", "user", False, True),
    ("invited-organizer", "organizer", False, True),
]
IDS = {name: str(uuid4()) for name, *_ in PEOPLE}
EVENT_ID, BOOKING_ID, LOGIN_ID, TOKEN_ID = (uuid4() for _ in range(4))


@pytest.fixture
def migrated(application: Flask, empty_database: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """A service whose database was filled before the migration."""
    assert flask_db("upgrade 0005", empty_database).returncode == 0
    with application.app_context(), connected(empty_database) as cursor:
        _fill(cursor, password_hash=hash_password(PASSWORD))
    up = flask_db("upgrade", empty_database)
    assert up.returncode == 0, up.stderr
    monkeypatch.setenv("DATABASE_URL", empty_database["DATABASE_URL"])
    service = create_app(Config.from_environment(NO_ENV_FILE))
    service.test_client_class = DocumentedClient
    yield service
    with service.app_context():
        db.engine.dispose()


def _fill(cursor: Cursor, *, password_hash: str) -> None:
    for name, role, has_password, is_active in PEOPLE:
        cursor.execute(
            "INSERT INTO users (id, email, name, role, password_hash, is_active) VALUES (%s, %s, %s, %s, %s, %s)",
            (IDS[name], f"{name}@example.com", name, role, password_hash if has_password else None, is_active),
        )
    cursor.execute(
        "INSERT INTO logins (id, user_id, refresh_jti, expires_at) VALUES (%s, %s, %s, now() + interval '1 day')",
        (str(LOGIN_ID), IDS["uri"], str(uuid4())),
    )
    cursor.execute(
        "INSERT INTO one_time_tokens (id, user_id, purpose, token_hash, expires_at)"
        " VALUES (%s, %s, 'invitation', sha256(%s::bytea), now() + interval '1 day')",
        (str(TOKEN_ID), IDS["invited-organizer"], token_of(TOKEN_ID).encode()),
    )
    cursor.execute(
        "INSERT INTO events (id, organizer_id, title, location, timezone, starts_at, ends_at, capacity, tickets_booked,"
        " status) VALUES (%s, %s, %s, %s, %s, %s, %s, 10, 2, 'published')",
        (
            str(EVENT_ID),
            IDS["olivia"],
            *(EVENT[name] for name in ("title", "location", "timezone", "starts_at", "ends_at")),
        ),
    )
    cursor.execute(
        "INSERT INTO bookings (id, reference, event_id, user_id, ticket_count, guest_name, guest_email, status)"
        " VALUES (%s, 'K7M3PTW9XA', %s, %s, 2, 'uri', 'uri@example.com', 'confirmed')",
        (str(BOOKING_ID), str(EVENT_ID), IDS["uri"]),
    )


def _log_in(client: FlaskClient, name: str) -> Any:
    return client.post(f"{API}/auth/login", json={"email": f"{name}@example.com", "password": PASSWORD})


def _account(client: FlaskClient, name: str) -> Account:
    tokens = _log_in(client, name).json
    return Account(IDS[name], f"{name}@example.com", tokens["access_token"], tokens["refresh_token"])


def test_everyone_keeps_their_role_and_access_in_the_default_organization(migrated: Flask) -> None:
    client = migrated.test_client()
    olivia, uri = _account(client, "olivia"), _account(client, "uri")

    people: Any = client.get(f"{API}/users/", headers=olivia.headers).json
    seen = {
        person["name"]: (person["role"], person["is_owner"], person["is_active"], person["is_invited"])
        for person in people
    }

    assert seen == {
        "olivia": ("organizer", True, True, False),
        "otto": ("organizer", True, True, False),
        "former": ("organizer", True, False, False),
        "uri": ("user", False, True, False),
        "inactive": ("user", False, False, False),
        "invited": ("user", False, True, True),
        "invited-organizer": ("organizer", False, True, True),
    }
    for account, role in ((olivia, "owner"), (uri, "user")):
        [organization] = client.get(f"{API}/organizations/", headers=account.headers).json or []
        assert (organization["name"], organization["role"]) == ("Default organization", role)
    assert _log_in(client, "inactive").status_code == 401
    assert _log_in(client, "former").status_code == 401


def test_earlier_logins_and_invitations_keep_working(migrated: Flask) -> None:
    client = migrated.test_client()
    with migrated.app_context():
        token = create_access_token(IDS["uri"], additional_claims={"sid": str(LOGIN_ID)})
        invitation = {"token": token_of(TOKEN_ID), "password": PASSWORD}

    profile = client.get(f"{API}/users/me", headers={"Authorization": f"Bearer {token}"})
    accepted = client.post(f"{API}/auth/invitations/accept", json=invitation)

    assert (profile.status_code, profile.json["role"]) == (200, "user")
    assert (accepted.status_code, accepted.json["role"], accepted.json["is_owner"]) == (200, "organizer", False)


def test_events_and_bookings_keep_working(migrated: Flask) -> None:
    client = migrated.test_client()
    olivia, otto, uri = (_account(client, name) for name in ("olivia", "otto", "uri"))
    path = f"{API}/events/{EVENT_ID}"

    booked = client.post(f"{API}/bookings/", headers=uri.headers, json={"event_id": str(EVENT_ID), "ticket_count": 3})
    changed = client.patch(path, headers=olivia.headers, json={"title": "Quintets"})

    assert booked.status_code == 201, booked.text
    assert (changed.status_code, changed.json["tickets_booked"]) == (200, 5)
    bookings: Any = client.get(f"{API}/bookings/", headers=uri.headers).json
    assert {booking["id"] for booking in bookings} == {booked.json["id"], str(BOOKING_ID)}
    # the organizers own the organization together
    assert client.post(f"{path}/transfer", headers=otto.headers, json={"user_id": IDS["otto"]}).status_code == 200
    engine = sa.create_engine(migrated.config["DATABASE_URL"], poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert [*audit.violations(connection, emails_since=timedelta(0))] == []


def test_reverting_the_migration_keeps_accounts_events_and_bookings(
    migrated: Flask, empty_database: dict[str, str]
) -> None:
    def rows(cursor: Cursor) -> list[tuple[Any, ...]]:
        cursor.execute("SELECT name, role, is_active, password_hash IS NOT NULL FROM users ORDER BY name")
        accounts = cursor.fetchall()
        cursor.execute("SELECT events.id::text, bookings.id::text FROM events JOIN bookings ON event_id = events.id")
        return accounts + cursor.fetchall()

    down = flask_db("downgrade 0005", empty_database)

    assert down.returncode == 0, down.stderr
    with connected(empty_database) as cursor:
        assert rows(cursor) == [
            *sorted((name, role, is_active, has_password) for name, role, has_password, is_active in PEOPLE),
            (str(EVENT_ID), str(BOOKING_ID)),
        ]
    assert flask_db("upgrade", empty_database).returncode == 0
    with migrated.app_context():
        assert db.session.scalars(sa.text("SELECT count(*) FROM memberships")).one() == len(PEOPLE)
