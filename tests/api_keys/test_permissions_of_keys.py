"""Permissions of API keys: every operation of the OpenAPI document, called with every kind of key."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.extensions import db
from bookings_api.models import ApiKey, Organization
from bookings_api.models.api_key import HINT_LENGTH, hash_secret, new_secret
from tests.documented import OPERATIONS
from tests.factories import ALL_SCOPES, Key, make_key
from tests.payments import book_priced, pay
from tests.permissions import Scene, make_scene, send
from tests.test_permissions import EXPECTED

# The first key has all scopes, the second only events:read. The foreign key has all scopes in another organization.
CODES = {401: "unauthenticated", 403: "permission-denied", 404: "booking-not-found"}

TABLE = """
                        key   key-without-scope   foreign-key

createEvent             201   403                 201
changeEvent             200   403                 403
publishEvent            200   403                 403
cancelEvent             200   403                 403
deleteEvent             204   403                 403
createTicketType        201   403                 403
changeTicketType        200   403                 403
deleteTicketType        204   403                 403
getCapacity             200   403                 403
listAttendees           200   403                 403
getDoorList             200   403                 403
listWaitingList         200   403                 403
listPayments            200   403                 403

createBooking           201   403                 403
listBookings            200   403                 200
getBooking              200   403                 404
getBookingCalendar      200   403                 404
changeBooking           200   403                 404
cancelBooking           200   403                 404
confirmBooking          200   403                 404
extendBooking           200   403                 404
listBookingEmails       200   403                 404
resendConfirmation      202   403                 404
"""


def _expected(name: str) -> Mapping[str, int]:
    """The statuses in the table. Other operations refuse keys, or treat them like anonymous requests."""
    callers, *rows = (line.split() for line in TABLE.splitlines() if line)
    table = {row: dict(zip(callers, map(int, statuses), strict=True)) for row, *statuses in rows}
    if name in table:
        return table[name]
    anonymous = next(iter(EXPECTED[name].values()))
    needs_login = {"bearer": []} in OPERATIONS[name].doc["security"] and anonymous == 401
    return dict.fromkeys(callers, 403 if needs_login else anonymous)


def _foreign_key(scene: Scene) -> Key:
    """A key of another organization."""
    secret = new_secret()
    with scene.client.application.app_context():
        organization = Organization(name="Another organization")
        db.session.add(organization)
        db.session.flush()
        key = ApiKey(
            organization_id=organization.id,
            created_by_id=UUID(scene.event["organizer_id"]),
            name="Foreign",
            scopes=ALL_SCOPES,
            hint=secret[:HINT_LENGTH],
            secret_hash=hash_secret(secret),
        )
        db.session.add(key)
        db.session.commit()
        return Key(str(key.id), str(organization.id), secret)


def _scene(client: FlaskClient, database: sa.Engine, caller: str) -> Scene:
    scene = make_scene(client, database, "responsible")
    assert isinstance(scene.key, Key)
    keys = {
        "key": lambda: scene.key,
        "key-without-scope": lambda: make_key(client, scene.responsible, scopes=["events:read"]),
        "foreign-key": lambda: _foreign_key(scene),
    }
    return replace(scene, caller=keys[caller]())


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_key_gets_the_status_in_the_table(client: FlaskClient, database: sa.Engine, name: str) -> None:
    operation = OPERATIONS[name]
    for caller, status in _expected(name).items():
        response = send(_scene(client, database, caller), name, operation.method, operation.path)
        assert response.status_code == status, (caller, response.text)
        assert str(status) in operation.responses
        if status >= 400:
            assert response.json["code"] == CODES[status]


def test_only_keys_that_may_manage_bookings_can_confirm_with_a_payment(
    client: FlaskClient, database: sa.Engine
) -> None:
    statuses = {}
    for caller in ("key", "key-without-scope", "foreign-key"):
        scene = _scene(client, database, caller)
        assert isinstance(scene.caller, Key)
        statuses[caller] = pay(client, scene.caller, book_priced(client, scene.user, scene.responsible)).status_code

    assert statuses == {"key": 200, "key-without-scope": 403, "foreign-key": 404}


def test_the_documented_scopes_match_the_table() -> None:
    for name, operation in OPERATIONS.items():
        accepts = "x-api-key-scope" in operation.doc
        assert (f"\n{name} " in TABLE) == accepts, name
