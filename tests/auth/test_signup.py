"""Signing up for an account."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import User
from tests.factories import API, PASSWORD, make_user, new_email


def _sign_up(client: FlaskClient, **fields: Any) -> Any:
    return client.post(f"{API}/auth/signup", json={"email": new_email(), "password": PASSWORD, **fields})


def test_signing_up_creates_a_user_by_default(client: FlaskClient) -> None:
    response = _sign_up(client, email="ada.l@EXAMPLE.com", name="  Ada Lovelace ")

    assert response.status_code == 201
    account = response.json
    assert account["email"] == "ada.l@example.com"
    assert (account["name"], account["role"], account["is_active"]) == ("Ada Lovelace", "user", True)
    assert "password" not in response.text


def test_signing_up_as_an_organizer_creates_an_organizer(client: FlaskClient) -> None:
    assert _sign_up(client, is_organizer=True).json["role"] == "organizer"


def test_the_password_is_stored_as_an_argon2id_hash(client: FlaskClient, database: sa.Engine) -> None:
    _sign_up(client)

    with database.connect() as connection:
        stored = connection.scalars(sa.select(User.password_hash)).one()
    assert stored is not None
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored


def test_an_address_can_sign_up_only_once_in_any_case(client: FlaskClient) -> None:
    user = make_user(client)

    response = _sign_up(client, email=user.email.swapcase())

    assert (response.status_code, response.json["code"]) == (409, "email-taken")
    assert [error["field"] for error in response.json["errors"]] == ["email"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("email", "a@localhost"),
        ("email", "ü@example.com"),
        ("email", f"{'a' * 300}@example.com"),
        ("email", "a@example.com\x00"),
        ("email", None),
        ("email", 5),
        ("password", "too short"),
        ("password", "x" * 129),
        ("password", "with a NUL \x00 inside"),
        ("password", "with a surrogate \ud800"),
        ("name", ""),
        ("name", "  "),
        ("name", "x" * 101),
        ("name", "line\nbreak"),
        ("name", "right \u202e to left"),
        ("name", "\u2028"),
        ("is_organizer", "yes"),
        ("is_organizer", 1),
        ("role", "organizer"),
        ("id", "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_an_invalid_field_is_named_and_no_account_is_created(
    client: FlaskClient, database: sa.Engine, field: str, value: Any
) -> None:
    response = _sign_up(client, **{field: value})

    assert (response.status_code, response.json["code"]) == (422, "invalid-input")
    assert [(error["in"], error["field"]) for error in response.json["errors"]] == [("body", field)]
    with database.connect() as connection:
        assert connection.scalars(sa.select(User.id)).all() == []


def test_all_invalid_fields_are_named_together(client: FlaskClient) -> None:
    response = client.post(f"{API}/auth/signup", json={"password": "short", "nickname": "Ada"})

    assert sorted(error["field"] for error in response.json["errors"]) == ["email", "nickname", "password"]


@pytest.mark.parametrize("name", ["李小龍", "Zoë Ångström", "محمد", "O'Brien-Łukasz", "नरेन्द्र"])
def test_a_name_can_use_any_script(client: FlaskClient, name: str) -> None:
    assert _sign_up(client, name=name).json["name"] == name


def test_an_internationalized_domain_is_stored_as_punycode(client: FlaskClient) -> None:
    assert _sign_up(client, email="ada@bücher.example").json["email"] == "ada@xn--bcher-kva.example"
