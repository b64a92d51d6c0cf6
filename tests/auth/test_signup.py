"""Creating accounts."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import User
from tests.factories import API, PASSWORD, make_user, new_email


def _sign_up(client: FlaskClient, **fields: Any) -> Any:
    return client.post(f"{API}/auth/signup", json={"email": new_email(), "password": PASSWORD, **fields})


def test_an_account_is_a_users_unless_said_otherwise(client: FlaskClient) -> None:
    response = _sign_up(client, email="ada.l@EXAMPLE.com", name="  Ada Lovelace ")

    assert response.status_code == 201
    account = response.json
    assert account["email"] == "ada.l@example.com"
    assert (account["name"], account["role"], account["is_active"]) == ("Ada Lovelace", "user", True)
    assert "password" not in response.text


def test_an_account_may_be_an_organizers(client: FlaskClient) -> None:
    assert _sign_up(client, is_organizer=True).json["role"] == "organizer"


def test_the_password_is_kept_as_an_argon2id_hash(client: FlaskClient, database: sa.Engine) -> None:
    _sign_up(client)

    with database.connect() as connection:
        kept = connection.scalars(sa.select(User.password_hash)).one()
    assert kept is not None
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept


def test_an_address_has_one_account_whatever_its_case(client: FlaskClient) -> None:
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
def test_a_bad_field_is_named_and_no_account_is_made(
    client: FlaskClient, database: sa.Engine, field: str, value: Any
) -> None:
    response = _sign_up(client, **{field: value})

    assert (response.status_code, response.json["code"]) == (422, "invalid-input")
    assert [(error["in"], error["field"]) for error in response.json["errors"]] == [("body", field)]
    with database.connect() as connection:
        assert connection.scalars(sa.select(User.id)).all() == []


def test_every_bad_field_is_named_at_once(client: FlaskClient) -> None:
    response = client.post(f"{API}/auth/signup", json={"password": "short", "nickname": "Ada"})

    assert sorted(error["field"] for error in response.json["errors"]) == ["email", "nickname", "password"]


@pytest.mark.parametrize("name", ["李小龍", "Zoë Ångström", "محمد", "O'Brien-Łukasz", "नरेन्द्र"])
def test_a_name_may_be_in_any_script(client: FlaskClient, name: str) -> None:
    assert _sign_up(client, name=name).json["name"] == name


def test_a_domain_in_another_script_is_kept_as_smtp_knows_it(client: FlaskClient) -> None:
    assert _sign_up(client, email="ada@bücher.example").json["email"] == "ada@xn--bcher-kva.example"
