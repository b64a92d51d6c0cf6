"""Every example of the document is sent to the running service, and is answered as the document shows."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from bookings_api.http.problems import PROBLEM_CONTENT_TYPE
from tests.documented import DOCUMENT, OPERATIONS, Operation, resolved, validate
from tests.http.world import World
from tests.mailbox import Mailbox
from tests.service import Service

# What cannot be known before: of these it is compared whether they are there.
UNKNOWN = {
    "id", "reference", "created_at", "updated_at", "cancelled_at", "sent_at", "next_attempt_at",
    "access_token", "refresh_token",
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
    if media != "application/json":
        assert answer.text.splitlines()[0] == example.splitlines()[0]
        return
    validate(answer.json(), content["schema"])
    if isinstance(example, list):
        assert all(_without_unknown(item) in map(_without_unknown, answer.json()) for item in example)
    else:
        assert _without_unknown(answer.json()) == _without_unknown(example)


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
