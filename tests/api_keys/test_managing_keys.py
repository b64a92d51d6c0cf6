"""Owners create, change, rotate and revoke the API keys of their organization."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import ApiKey
from tests.factories import (
    API,
    Account,
    Key,
    keys_path,
    make_event,
    make_key,
    make_organizer,
    make_owner,
    make_user,
    organization_of,
)

BODY: Mapping[str, Any] = {"name": "Website", "scopes": ["bookings:read"]}


def _status(client: FlaskClient, secret: str) -> int:
    """The status of a request that needs the scope bookings:read."""
    return client.get(f"{API}/bookings/", headers={"Authorization": f"Bearer {secret}"}).status_code


def test_the_secret_is_shown_once_and_stored_as_a_hash(
    client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    path = keys_path(organization_of(client, organizer))

    created = client.post(path, headers=organizer.headers, json=BODY)

    secret = created.json["secret"]
    assert secret.startswith("ebk_")
    assert len(secret) == 47
    assert created.json["hint"] == secret[:12]
    location = created.headers["Location"]
    read = client.get(location, headers=organizer.headers)
    assert read.json == {name: value for name, value in created.json.items() if name != "secret"}
    assert client.get(path, headers=organizer.headers).json == [read.json]
    with database.connect() as connection:
        for table in ("api_keys", "idempotency_keys"):
            assert secret not in str(connection.execute(sa.text(f"SELECT * FROM {table}")).all())


def test_a_repeated_request_returns_the_key_without_its_secret(
    client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    path = keys_path(organization_of(client, organizer))
    headers = {**organizer.headers, "Idempotency-Key": "one"}
    first = client.post(path, headers=headers, json=BODY)

    again = client.post(path, headers=headers, json=BODY)

    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert again.json == dict(first.json or {}, secret=None)
    assert again.headers["Location"] == first.headers["Location"]
    with database.connect() as connection:
        assert first.json["secret"] not in str(connection.execute(sa.text("SELECT * FROM idempotency_keys")).all())


def test_a_rotated_key_accepts_both_secrets_during_the_overlap(
    client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    key = make_key(client, organizer)

    rotated = client.post(f"{key.path}/rotate", headers=organizer.headers, json={})

    assert (rotated.status_code, rotated.json["version"]) == (200, 2)
    overlap = datetime.fromisoformat(rotated.json["previous_secret_expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=55) < overlap < timedelta(minutes=65)
    assert _status(client, key.token) == _status(client, rotated.json["secret"]) == 200
    with database.begin() as connection:
        connection.execute(sa.update(ApiKey).values(previous_expires_at=sa.func.now()))
    assert (_status(client, key.token), _status(client, rotated.json["secret"])) == (401, 200)


def test_a_rotation_without_overlap_ends_the_previous_secret_immediately(
    client: FlaskClient, organizer: Account
) -> None:
    key = make_key(client, organizer)
    headers = {**organizer.headers, "Idempotency-Key": "one"}

    rotated = client.post(f"{key.path}/rotate", headers=headers, json={"overlap_minutes": 0})

    assert (_status(client, key.token), _status(client, rotated.json["secret"])) == (401, 200)
    again = client.post(f"{key.path}/rotate", headers=headers, json={"overlap_minutes": 0})
    assert (again.status_code, again.json) == (200, dict(rotated.json or {}, secret=None))


@pytest.mark.parametrize("minutes", [-1, 7 * 24 * 60 + 1, 1.5, "60", None])
def test_an_overlap_is_at_most_seven_days(client: FlaskClient, organizer: Account, minutes: object) -> None:
    key = make_key(client, organizer)

    response = client.post(f"{key.path}/rotate", headers=organizer.headers, json={"overlap_minutes": minutes})

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == ["overlap_minutes"]


def test_a_revoked_key_is_gone(client: FlaskClient, organizer: Account) -> None:
    key = make_key(client, organizer)
    rotated = client.post(f"{key.path}/rotate", headers=organizer.headers, json={})

    assert client.delete(key.path, headers=organizer.headers).status_code == 204

    assert _status(client, key.token) == _status(client, rotated.json["secret"]) == 401
    for response in (
        client.get(key.path, headers=organizer.headers),
        client.patch(key.path, headers=organizer.headers, json={"name": "Other"}),
        client.post(f"{key.path}/rotate", headers=organizer.headers, json={}),
        client.delete(key.path, headers=organizer.headers),
    ):
        assert (response.status_code, response.json["code"]) == (404, "api-key-not-found")
    assert client.get(keys_path(key.organization_id), headers=organizer.headers).json == []


def test_an_expired_key_is_refused_and_can_be_extended(
    client: FlaskClient, organizer: Account, database: sa.Engine
) -> None:
    key = make_key(client, organizer, expires_at=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    assert _status(client, key.token) == 200
    with database.begin() as connection:
        connection.execute(sa.update(ApiKey).values(expires_at=sa.func.now()))

    assert _status(client, key.token) == 401

    changed = client.patch(key.path, headers=organizer.headers, json={"expires_at": None})
    assert (changed.status_code, changed.json["expires_at"]) == (200, None)
    assert _status(client, key.token) == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 101),
        ("scopes", []),
        ("scopes", ["events:read", "events:read"]),
        ("scopes", ["everything"]),
        ("scopes", ["webhooks"]),
        ("event_ids", []),
        ("event_ids", ["nothing"]),
        ("event_ids", [str(uuid4())]),
        ("expires_at", "2020-01-01T00:00:00Z"),
        ("expires_at", "tomorrow"),
    ],
)
def test_an_invalid_field_is_named(client: FlaskClient, organizer: Account, field: str, value: object) -> None:
    key = make_key(client, organizer)
    path = keys_path(key.organization_id)

    created = client.post(path, headers=organizer.headers, json={**BODY, field: value})
    changed = client.patch(key.path, headers=organizer.headers, json={field: value})

    assert (created.status_code, changed.status_code) == (422, 422)
    for response in (created, changed):
        assert {error["field"].partition(".")[0] for error in response.json["errors"]} == {field}


def test_a_change_applies_from_the_next_request_on(client: FlaskClient, organizer: Account) -> None:
    key = make_key(client, organizer)
    assert _status(client, key.token) == 200

    changed = client.patch(key.path, headers=organizer.headers, json={"scopes": ["events:read"]})

    assert (changed.json["scopes"], changed.json["version"]) == (["events:read"], 2)
    assert _status(client, key.token) == 403


def test_a_stale_version_changes_nothing(client: FlaskClient, organizer: Account) -> None:
    key = make_key(client, organizer)
    stale = {**organizer.headers, "If-Match": client.get(key.path, headers=organizer.headers).headers["ETag"]}
    client.patch(key.path, headers=organizer.headers, json={"name": "Other"})

    for response in (
        client.patch(key.path, headers=stale, json={"name": "Another"}),
        client.post(f"{key.path}/rotate", headers=stale, json={}),
        client.delete(key.path, headers=stale),
    ):
        assert (response.status_code, response.json["code"]) == (412, "stale-version")
    assert _status(client, key.token) == 200


def test_the_last_use_is_recorded_once_per_minute(client: FlaskClient, organizer: Account, database: sa.Engine) -> None:
    key = make_key(client, organizer)

    def last_use() -> str | None:
        used: str | None = client.get(key.path, headers=organizer.headers).json["last_used_at"]
        return used

    assert last_use() is None
    _status(client, key.token)
    first = last_use()
    assert first is not None
    _status(client, key.token)
    assert last_use() == first
    with database.begin() as connection:
        connection.execute(sa.update(ApiKey).values(last_used_at=ApiKey.last_used_at - timedelta(minutes=2)))
    _status(client, key.token)
    assert (last_use() or "") > first
    assert client.get(key.path, headers=organizer.headers).json["version"] == 1


def test_an_etag_changes_when_the_key_is_used(client: FlaskClient, organizer: Account) -> None:
    key = make_key(client, organizer)
    unused = client.get(key.path, headers=organizer.headers).headers["ETag"]
    _status(client, key.token)

    read = client.get(key.path, headers={**organizer.headers, "If-None-Match": unused})
    assert read.status_code == 200
    changed = client.patch(key.path, headers={**organizer.headers, "If-Match": unused}, json={"name": "Other"})
    assert changed.status_code == 200


def test_members_without_the_right_get_403_and_strangers_404(client: FlaskClient, organizer: Account) -> None:
    key, user = make_key(client, organizer), make_user(client)
    requests = [
        ("GET", keys_path("{}")), ("POST", keys_path("{}")), ("GET", keys_path("{}") + f"/{key.id}"),
        ("PATCH", keys_path("{}") + f"/{key.id}"), ("DELETE", keys_path("{}") + f"/{key.id}"),
        ("POST", keys_path("{}") + f"/{key.id}/rotate"),
    ]  # fmt: skip
    for method, path in requests:
        body: dict[str, Any] = {}
        if method != "GET":
            body["json"] = BODY if path.endswith("api-keys") else {}
        member = client.open(path.format(key.organization_id), method=method, headers=user.headers, **body)
        stranger = client.open(path.format(uuid4()), method=method, headers=organizer.headers, **body)
        assert (member.status_code, member.json["code"]) == (403, "permission-denied"), (method, path)
        assert (stranger.status_code, stranger.json["code"]) == (404, "organization-not-found"), (method, path)


def test_keys_cannot_manage_keys(client: FlaskClient, organizer: Account) -> None:
    key: Key = make_key(client, organizer)

    response = client.get(keys_path(key.organization_id), headers=key.headers)

    assert (response.status_code, response.json["code"]) == (403, "permission-denied")


def test_a_key_can_be_restricted_to_events(client: FlaskClient, organizer: Account) -> None:
    event = make_event(client, organizer)

    key = make_key(client, organizer, event_ids=[event["id"]])

    assert client.get(key.path, headers=organizer.headers).json["event_ids"] == [event["id"]]


def test_organizers_change_only_the_keys_they_created_and_owners_all(client: FlaskClient, organizer: Account) -> None:
    """Otherwise organizers could rotate the key of an owner, and use the new secret."""
    of_organizer = make_key(client, organizer)

    for account in (make_owner(client), make_organizer(client)):
        key = make_key(client, account)
        for response in (
            client.patch(key.path, headers=organizer.headers, json={"name": "Mine"}),
            client.post(f"{key.path}/rotate", headers=organizer.headers, json={}),
            client.delete(key.path, headers=organizer.headers),
        ):
            assert (response.status_code, response.json["code"]) == (403, "permission-denied")
        assert _status(client, key.token) == 200
    assert client.delete(of_organizer.path, headers=make_owner(client).headers).status_code == 204
