"""The running service returns the documented response to every example request."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import icalendar
import pytest
import sqlalchemy as sa

from bookings_api.http.csv import CSV
from bookings_api.http.files import CALENDAR
from bookings_api.http.problems import PROBLEM_CONTENT_TYPE
from tests.documented import DOCUMENT, OPERATIONS, Operation, resolved, validate
from tests.http.world import World
from tests.http_client import http_client
from tests.mailbox import Mailbox
from tests.service import Service

# Members with unpredictable values; only their types are compared.
UNPREDICTABLE = {
    "id", "reference", "created_at", "updated_at", "cancelled_at", "sent_at", "next_attempt_at",
    "expires_at", "organization_id", "access_token", "refresh_token", "DTSTAMP", "secret", "hint",
    "previous_secret_expires_at", "held_until", "confirmed_at",
}  # fmt: skip

# Every success of every operation in each of its formats, with the name of each example. The format is None if there is
# no body, and the name is None if there is only one example.
SUCCESSES = [
    (operation, int(status), media, name)
    for operation in OPERATIONS.values()
    for status, response in operation.responses.items()
    if status.startswith("2")
    for media, content in response.get("content", {None: {}}).items()
    for name in content.get("examples", {None: None})
]


def test_every_operation_documents_a_success() -> None:
    assert {operation.id for operation, *_ in SUCCESSES} == OPERATIONS.keys()


@pytest.mark.parametrize(
    ("operation", "status", "media", "name"), SUCCESSES, ids=lambda part: getattr(part, "id", None)
)
def test_every_example_request_gets_the_documented_response(
    service: Service,
    mailbox: Mailbox,
    database: sa.Engine,
    operation: Operation,
    status: int,
    media: str | None,
    name: str | None,
) -> None:
    with http_client(service.url) as client:
        world = World(client, mailbox, database)
        world.prepare_for(operation.id, status, name)

        response = world.send(operation, accept=media)

    assert response.status_code == status, response.text
    documented = operation.responses[str(status)]
    if media is None:
        assert response.content == b""
        return
    assert response.headers["Content-Type"].partition(";")[0] == media
    content = documented["content"][media]
    example = world.real(content["examples"][name]["value"] if name else content["example"])
    if media == "application/json":
        validate(response.json(), content["schema"])
    expected, actual = _items(media, example), _items(media, response.text)
    assert expected
    assert all(item in actual for item in expected)


def _items(media: str, body: Any) -> list[Mapping[str, Any]]:
    """The items of a body as mappings, without unpredictable values."""
    if media == CALENDAR:
        [entry] = icalendar.Calendar.from_ical(body).events
        return [_comparable({name: (value.to_ical(), value.params) for name, value in entry.items()})]
    if media == CSV:
        return [_comparable(row) for row in csv.DictReader(io.StringIO(body.removeprefix("\ufeff")))]
    found = json.loads(body) if isinstance(body, str) else body
    return [_comparable(item) for item in (found if isinstance(found, list) else [found])]


def _comparable(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The members, with the type in place of each unpredictable value, also in nested objects."""
    return {name: type(value).__name__ if name in UNPREDICTABLE else _nested(value) for name, value in body.items()}


def _nested(value: Any) -> Any:
    if isinstance(value, list):
        return [_nested(item) for item in value]
    return _comparable(value) if isinstance(value, dict) else value


def _bodies() -> dict[str, Mapping[str, Any]]:
    """Every request and response body by operation, status and media type."""
    found: dict[str, Mapping[str, Any]] = {}
    for operation in OPERATIONS.values():
        if "requestBody" in operation.doc:
            found |= {f"{operation.id} {kind}": body for kind, body in operation.doc["requestBody"]["content"].items()}
        for status, response in operation.responses.items():
            found |= {f"{operation.id} {status} {kind}": body for kind, body in response.get("content", {}).items()}
    return found


def _examples(body: Mapping[str, Any]) -> list[Any]:
    several = [resolved(example)["value"] for example in body.get("examples", {}).values()]
    return several or [body["example"]]


@pytest.mark.parametrize(("place", "body"), _bodies().items(), ids=list(_bodies()))
def test_every_example_body_is_valid_under_its_schema(place: str, body: Mapping[str, Any]) -> None:
    for example in _examples(body):
        validate(example, body["schema"])
        if PROBLEM_CONTENT_TYPE in place:
            assert set(body["examples"]) == set(body["schema"]["properties"]["code"]["enum"])


def test_every_example_of_a_field_is_valid_under_its_schema() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        for described in schema.get("properties", {}).values():
            assert "example" not in described, "JSON Schema has `examples`"
            for example in described.get("examples", []):
                validate(example, described)
