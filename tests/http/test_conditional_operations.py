"""Every operation on a single resource in the OpenAPI document supports conditional requests."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import make_event
from tests.permissions import Operations, Scene, documented_operations, make_scene, send

# The account that may do everything with a resource of the scene.
CALLERS = {"/bookings/": "user", "/events/": "responsible", "/users/": "responsible", "/organizations/": "owner"}


@pytest.fixture
def operations(client: FlaskClient) -> Operations:
    return documented_operations(client)


def _reads(operations: Operations) -> Operations:
    """Operations that return one resource, in any format."""
    return {
        name: (method, path, operation)
        for name, (method, path, operation) in operations.items()
        if method == "get"
        and name not in {"exportAccount", "getCapacity"}  # have no version
        and all(kind["schema"].get("type") != "array" for kind in operation["responses"]["200"]["content"].values())
    }


def _changes(operations: Operations) -> dict[str, str]:
    """Operations that change a readable resource, each with the operation that reads it.

    These are PATCH, DELETE, and each POST to an action of a resource that returns it.
    """
    reads = {path: (name, _shape(operation)) for name, (_, path, operation) in _reads(operations).items()}
    changes = {}
    for name, (method, path, operation) in operations.items():
        if method in {"patch", "delete"}:
            changes[name] = reads[path][0]
        elif method == "post" and (above := reads.get(path.rpartition("/")[0])) and _shape(operation) == above[1]:
            changes[name] = above[0]
    return changes


def _shape(operation: Any) -> Any:
    """Schema of the operation's 200 response."""
    return operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema")


def _scene(client: FlaskClient, database: sa.Engine, name: str, path: str) -> Scene:
    caller = next(caller for part, caller in CALLERS.items() if part in path)
    scene = make_scene(client, database, caller)
    if name == "publishEvent":
        return replace(scene, event=make_event(client, scene.responsible, status="draft"))
    if name == "deleteAccount":  # the organizer is responsible for the event
        return replace(scene, caller=scene.user)
    return scene


def _parameters(operation: Any) -> set[str]:
    return {parameter["name"] for parameter in operation["parameters"]}


def test_the_document_has_the_expected_reads_and_changes(operations: Operations) -> None:
    assert {"getEvent", "getBooking", "getUser", "getProfile"} <= _reads(operations).keys()
    assert _changes(operations) == {
        "changeEvent": "getEvent",
        "deleteEvent": "getEvent",
        "publishEvent": "getEvent",
        "cancelEvent": "getEvent",
        "changeTicketType": "getTicketType",
        "deleteTicketType": "getTicketType",
        "changeBooking": "getBooking",
        "cancelBooking": "getBooking",
        "confirmBooking": "getBooking",
        "extendBooking": "getBooking",
        "changeUser": "getUser",
        "deactivateUser": "getUser",
        "changeProfile": "getProfile",
        "deleteAccount": "getProfile",
        "changeOrganization": "getOrganization",
        "changeTeamMember": "getTeamMember",
        "removeTeamMember": "getTeamMember",
        "transferEvent": "getEvent",
        "changeApiKey": "getApiKey",
        "revokeApiKey": "getApiKey",
    }


def test_every_read_returns_304_for_a_known_etag(
    client: FlaskClient, database: sa.Engine, operations: Operations
) -> None:
    for name, (method, path, operation) in _reads(operations).items():
        scene = _scene(client, database, name, path)
        first = send(scene, name, method, path)
        etag = first.headers["ETag"]

        for known in (etag, f"W/{etag}", f'"other", {etag}', f'W/"other",{etag} , "third"', "*"):
            again = send(scene, name, method, path, {"If-None-Match": known})
            assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag), (name, known)
        for other in ('"other"', f'{etag[:-1]}0"'):
            assert send(scene, name, method, path, {"If-None-Match": other}).data == first.data, (name, other)
        assert "If-None-Match" in _parameters(operation), name
        assert "304" in operation["responses"], name
        assert "ETag" in operation["responses"]["200"]["headers"], name


def test_every_change_requires_a_matching_if_match(
    client: FlaskClient, database: sa.Engine, operations: Operations
) -> None:
    reads = _reads(operations)
    for name, read in _changes(operations).items():
        method, path, operation = operations[name]
        scene = _scene(client, database, name, path)
        before = send(scene, read, *reads[read][:2])

        stale = send(scene, name, method, path, {"If-Match": '"99"'})

        after = send(scene, read, *reads[read][:2])
        assert (stale.status_code, stale.json["code"]) == (412, "stale-version"), name
        assert (after.json, after.headers["ETag"]) == (before.json, before.headers["ETag"]), name
        made = send(scene, name, method, path, {"If-Match": f'"99", {before.headers["ETag"]}'})
        assert made.status_code in {200, 204}, (name, made.text)
        assert "If-Match" in _parameters(operation), name
        assert "412" in operation["responses"], name
