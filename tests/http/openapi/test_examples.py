"""Every example of the document is sent to the running service, and is answered as the document shows."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import httpx
import icalendar
import pytest

from bookings_api.http.csv import CSV
from bookings_api.http.files import CALENDAR
from bookings_api.http.problems import PROBLEM_CONTENT_TYPE
from tests.documented import DOCUMENT, OPERATIONS, Operation, resolved, validate
from tests.http.world import World
from tests.mailbox import Mailbox
from tests.service import Service

# What cannot be known before: of these it is compared whether they are there.
UNKNOWN = {
    "id", "reference", "created_at", "updated_at", "cancelled_at", "sent_at", "next_attempt_at",
    "access_token", "refresh_token", "DTSTAMP",
}  # fmt: skip

# Each success of each operation, in each of its formats; None: without a body.
SUCCESSES = [
    (operation, int(status), media)
    for operation in OPERATIONS.values()
    for status, response in operation.responses.items()
    if status.startswith("2")
    for media in response.get("content", {None: None})
]


def test_every_operation_succeeds_somehow() -> None:
    assert {operation.id for operation, _, _ in SUCCESSES} == OPERATIONS.keys()


@pytest.mark.parametrize(("operation", "status", "media"), SUCCESSES, ids=lambda part: getattr(part, "id", None))
def test_an_example_is_answered_as_documented(
    service: Service, mailbox: Mailbox, operation: Operation, status: int, media: str | None
) -> None:
    with httpx.Client(base_url=service.url, timeout=20) as client:
        world = World(client, mailbox)
        world.prepare_for(operation.id, status)

        answer = world.send(operation, accept=media)

    assert answer.status_code == status, answer.text
    documented = operation.responses[str(status)]
    if media is None:
        assert answer.content == b""
        return
    assert answer.headers["Content-Type"].partition(";")[0] == media
    content = documented["content"][media]
    example = world.real(content["example"])
    if media == "application/json":
        validate(answer.json(), content["schema"])
    shown, answered = _things(media, example), _things(media, answer.text)
    assert shown
    assert all(thing in answered for thing in shown)


def _things(media: str, body: Any) -> list[Mapping[str, Any]]:
    """What a body tells of, each as names and values, without what cannot be known."""
    if media == CALENDAR:
        [entry] = icalendar.Calendar.from_ical(body).events
        return [_without_unknown({name: (value.to_ical(), value.params) for name, value in entry.items()})]
    if media == CSV:
        return [_without_unknown(row) for row in csv.DictReader(io.StringIO(body.removeprefix("\ufeff")))]
    found = json.loads(body) if isinstance(body, str) else body
    return [_without_unknown(thing) for thing in (found if isinstance(found, list) else [found])]


def _without_unknown(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The members, of which each that cannot be known is replaced by its type."""
    return {name: type(value).__name__ if name in UNKNOWN else value for name, value in body.items()}


def _bodies() -> dict[str, Mapping[str, Any]]:
    """Every media type of a request or an answer, by where it stands."""
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
def test_an_example_is_valid_under_its_own_schema(place: str, body: Mapping[str, Any]) -> None:
    for example in _examples(body):
        validate(example, body["schema"])
        if PROBLEM_CONTENT_TYPE in place:
            assert set(body["examples"]) == set(body["schema"]["properties"]["code"]["enum"])


def test_examples_of_fields_are_valid_under_their_own_schemas() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        for described in schema.get("properties", {}).values():
            assert "example" not in described, "JSON Schema has `examples`"
            for example in described.get("examples", []):
                validate(example, described)
