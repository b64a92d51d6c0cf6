"""A stranger names another organization's people and things in every operation, and learns and changes nothing.

The operations and their fields come from the OpenAPI document, so the tests include new ones.
"""

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Base, Event, EventCatalog, TicketType
from tests.documented import OPERATIONS, Operation, resolved
from tests.factories import (
    PASSWORD,
    Account,
    Key,
    add_to_team,
    book,
    book_for_guest,
    make_account,
    make_event,
    make_key,
    make_organizer,
    make_ticket_type,
    new_email,
)
from tests.permissions import REQUESTS, Scene
from tests.teams.invitations import join_organization

Names = Mapping[str, Any]

# Fields that identify something. The test fails for unknown fields that look like one.
NAMES = {
    "user_id", "organizer_id", "organization_id", "event_id", "event_ids", "booking_id", "key_id",
    "type_id", "email", "username", "contact_email", "guest_email", "external_id", "reference", "q",
}  # fmt: skip
LOOKS_LIKE_A_NAME = re.compile(r"(_ids?|email|reference)$")

# Responses besides 403 and 404, by operation and field. A stranger may send these requests about anyone and anything,
# and gets the same response for a random name.
ALLOWED: Mapping[tuple[str, ...], int] = {
    ("login", "email"): 401,
    ("token", "username"): 400,
    ("requestPasswordReset", "email"): 202,
    ("inviteUser", "email"): 201,
    ("addTeamMember", "email"): 201,
    ("transferEvent", "email"): 409,
    ("transferEvent", "user_id"): 409,
    ("createApiKey", "event_ids"): 422,
    ("changeApiKey", "event_ids"): 422,
    ("createEvent", "contact_email"): 201,
    ("changeEvent", "contact_email"): 200,
    ("createBooking", "guest_email"): 201,
    ("createBooking", "external_id"): 422,
    ("changeBooking", "guest_email"): 200,
    ("listUsers", "q"): 200,
    ("listUpcomingEvents", "q"): 200,
    ("listAllEvents", "q"): 200,
    ("listAttendees", "q"): 200,
    ("listAttendees", "reference"): 200,
    ("listBookings", "event_id"): 200,
    ("listBookings", "external_id"): 200,
    ("getDoorList", "q"): 200,
}

ALLOWED_TO_KEYS: Mapping[tuple[str, ...], int] = {("createBooking", "external_id"): 201}

# What everyone may know and do: read and book published events, and see whether an address is taken.
PUBLIC: Mapping[tuple[str, ...], int] = {
    ("getEvent", "event_id"): 200,
    ("listTicketTypes", "event_id"): 200,
    ("getTicketType", "event_id"): 200,
    ("getTicketType", "type_id"): 200,
    ("getTicketType", "event_id", "type_id"): 200,
    ("getEventCalendar", "event_id"): 200,
    ("listUpcomingEvents", "organizer_id"): 200,
    ("listAllEvents", "organizer_id"): 200,
    ("createBooking", "event_id"): 201,
    ("signup", "email"): 409,
    ("changeProfile", "email"): 409,
}

CHANGED_BY_BOOKINGS = {
    table.c[name] for table in (Event.__table__, TicketType.__table__) for name in ("tickets_booked", "updated_at")
}

# Headers that differ between any two requests, or with the length of the names
VARYING = re.compile("Content-Length|X-Request-ID|RateLimit-.*")

# Values that are new in every response to a request that creates something
NEW = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)"
    r'|(?<="reference":")[A-Z0-9]+|ebk_[\w-]+|(?<="version":)\d+'
)

# Fields to send in addition to those of `REQUESTS`
ADDITIONAL: Mapping[str, Mapping[str, str]] = {
    "login": {"password": "a wrong password"},
    "token": {"password": "a wrong password"},
    "changeProfile": {"current_password": PASSWORD},
}


def _organization(client: FlaskClient, database: sa.Engine, name: str) -> Scene:
    """Create an organization with an owner, an organizer on the team of an event, a customer and a key."""
    owner = make_organizer(client)
    organizer = join_organization(client, database, owner, make_account(client, name=name), "organizer")
    event = make_event(client, owner, capacity=1000)
    add_to_team(client, owner, event, organizer)
    customer = make_account(client, name=name)
    booking, key = book(client, customer, event, hold_minutes=10).json, make_key(client, owner)
    front_row = make_ticket_type(client, owner, event, sales_close_at="2020-01-01T00:00:00Z")
    return Scene(client, database, organizer, owner, owner, event, booking, key, front_row)


def _names_in(scene: Scene, draft: Mapping[str, Any] | None = None) -> Names:
    """Return the values of `NAMES` that identify something of the scene's organization."""
    customer, guest = scene.booking, book_for_guest(scene.client, scene.key, scene.event, external_id=uuid4().hex).json
    event_id = (draft or scene.event)["id"]
    return {
        **scene.ids,
        "organizer_id": scene.responsible.id,
        "event_id": event_id,
        "event_ids": [event_id],
        "email": customer["guest_email"],
        "username": customer["guest_email"],
        "contact_email": scene.responsible.email,
        "guest_email": guest["guest_email"],
        "external_id": guest["external_id"],
        "reference": guest["reference"],
        "q": customer["guest_name"],
    }


def _random_names() -> Names:
    ids = {field: str(uuid4()) for field in NAMES if field.endswith("_id")}
    emails = {field: new_email() for field in NAMES if field.endswith("email")}
    texts = {"username": new_email(), "external_id": uuid4().hex, "q": uuid4().hex, "reference": "BCDFGHJK"}
    return {**ids, **emails, **texts, "event_ids": [str(uuid4())]}


def _fields(operation: Operation) -> Mapping[str, set[str]]:
    """Return the fields of a request by location."""
    parameters = [resolved(parameter) for parameter in operation.doc.get("parameters", ())]
    query = {one["name"] for one in parameters if one["in"] == "query"}
    content = resolved(operation.doc.get("requestBody", {})).get("content", {})
    body = {name for media in content.values() for name in resolved(media["schema"])["properties"]}
    return {"path": set(re.findall(r"{(\w+)}", operation.path)), "query": query, "body": body}


def _cases(operation: Operation) -> list[frozenset[str]]:
    """Return the sets of fields that name something of another organization at the same time."""
    fields = _fields(operation)
    path = fields["path"] & NAMES
    every = path | (fields["query"] & NAMES) | (fields["body"] & NAMES)
    cases = {frozenset(path), *(frozenset({one}) for one in every), *(frozenset(path | {one}) for one in every)}
    return sorted(cases - {frozenset()}, key=sorted)


def _send(
    sender: Account | Key | None,
    operation: Operation,
    scene: Scene,
    names: Names,
    case: frozenset[str],
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Send a valid request in the scene's organization, except that the fields of `case` have values of `names`."""
    fields = _fields(operation)
    own = {"headers": {}, **(REQUESTS[operation.id](scene) if operation.id in REQUESTS else {})}
    for part in ("json", "data"):
        if part in own:
            body = {**own[part], **ADDITIONAL.get(operation.id, {})}
            if operation.id == "transferEvent" and case & {"user_id", "email"}:
                body = {}
            own[part] = {**body, **{field: names[field] for field in case & fields["body"]}}
    query = {field: names[field] for field in case & fields["query"]}
    path = operation.path.format_map({**scene.ids, **{field: names[field] for field in case & fields["path"]}})
    sent = {**own.pop("headers"), **(sender.headers if sender else {}), **(headers or {})}
    return scene.client.open(path, method=operation.method.upper(), headers=sent, query_string=query, **own)


def _seen(response: Any, names: Names) -> tuple[Any, ...]:
    """Return what a client can see of a response, except the names that it sent and what is always new."""
    is_success = response.status_code < 300
    headers = {
        name: value
        for name, value in response.headers.items()
        if not VARYING.fullmatch(name) and not (is_success and name == "ETag")
    }
    text = f"{response.get_data(as_text=True)} {headers}"
    for name in names.values():
        text = text.replace(name if isinstance(name, str) else name[0], "(name)")
    return response.status_code, NEW.sub("(new)", text) if is_success else text


def _rows(database: sa.Engine) -> set[tuple[str, ...]]:
    """Return all rows of all tables, each after the name of its table, except what bookings change."""
    with database.connect() as connection:
        return {
            (table.name, *map(str, row))
            for table in Base.metadata.sorted_tables
            if table is not EventCatalog.__table__
            for row in connection.execute(sa.select(*(one for one in table.c if one not in CHANGED_BY_BOOKINGS)))
        }


def _mentions(row: tuple[str, ...], *ids: str) -> bool:
    return any(one in value for one in ids for value in row)


def _compare(
    sender: Account | Key, operation: Operation, own: Scene, names: Names, case: frozenset[str], *, is_published: bool
) -> None:
    """Check that the response is a refusal or public, and the same as for random names unless it is public."""
    random = _random_names()
    expected = _send(sender, operation, own, random, case)
    response = _send(sender, operation, own, names, case)

    description = f"{operation.id} with {sorted(case)}: {response.status} {response.text}"
    named = (operation.id, *sorted(case))
    allowed = {one[named] for one in (ALLOWED, ALLOWED_TO_KEYS, PUBLIC) if named in one}
    assert response.status_code in {403, 404, *allowed}, description
    if named in PUBLIC and is_published:
        if operation.method == "get":
            assert response.text == _send(None, operation, own, names, case).text, description
    elif response.status_code == 403 and is_published and "event_id" in case:
        assert response.json["code"] == "permission-denied", description
    else:
        assert _seen(response, names) == _seen(expected, random), description


def test_every_field_that_identifies_something_is_covered() -> None:
    fields = {field for operation in OPERATIONS.values() for names in _fields(operation).values() for field in names}

    assert {field for field in fields if LOOKS_LIKE_A_NAME.search(field)} <= NAMES
    assert fields >= NAMES


@pytest.mark.parametrize("caller", ["owner of another organization", "customer", "key of another organization"])
def test_a_stranger_learns_and_changes_nothing(
    own_organizations: FlaskClient, database: sa.Engine, caller: str
) -> None:
    client = own_organizations
    own = _organization(client, database, "Bella Bystander")
    others = _rows(database)
    theirs = _organization(client, database, "Theodora Targetson")
    draft = make_event(client, theirs.responsible, status="draft")
    published_names, draft_names = _names_in(theirs), _names_in(theirs, draft)
    before = _rows(database) - others
    senders: Mapping[str, Account | Key] = {
        "owner of another organization": own.responsible,
        "key of another organization": own.key,
    }
    sender = senders.get(caller) or make_account(client)

    for operation in OPERATIONS.values():
        for case in _cases(operation):
            is_event_named = bool(case & {"event_id", "event_ids"})
            for names in (published_names, draft_names) if is_event_named else (published_names,):
                _compare(sender, operation, own, names, case, is_published=names is published_names)

    after = _rows(database) - others
    assert before - after == set()
    things = [theirs.ids[name] for name in ("organization_id", "event_id", "booking_id", "key_id")] + [draft["id"]]
    created = [row for row in after - before if _mentions(row, *things)]
    # only their own bookings, which make them customers
    assert all(_mentions(row, sender.id) for row in created)
    assert {table for table, *_ in created} == (set() if sender is own.key else {"bookings", "memberships"})


def test_preconditions_and_csv_files_reveal_nothing_to_a_stranger(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    own, theirs = (_organization(client, database, name) for name in ("Bella Bystander", "Theodora Targetson"))
    names, random = _names_in(theirs, make_event(client, theirs.responsible, status="draft")), _random_names()
    headers = {"If-Match": '"999"', "If-None-Match": "*", "Accept": "text/csv"}

    for operation in OPERATIONS.values():
        if case := frozenset(_fields(operation)["path"]):
            response, expected = (
                _send(own.responsible, operation, own, sent, case, headers) for sent in (names, random)
            )
            assert response.status_code == 404, f"{operation.id}: {response.status} {response.text}"
            assert _seen(response, names) == _seen(expected, random), operation.id
