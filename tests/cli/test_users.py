"""The `flask users` commands."""

import json

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.models import OutboxEmail
from tests.factories import API, PASSWORD, make_account, make_organizer, make_user, new_email


def _users(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["users", *arguments])


def _listed(app: Flask, *arguments: str) -> list[str]:
    """Return the email addresses of the listed accounts."""
    shown = _users(app, "list", *arguments)
    assert shown.exit_code == 0, shown.output
    return [line.split()[0] for line in shown.output.splitlines()[1:]]


def test_first_organizer_is_created_on_the_command_line(app: Flask, client: FlaskClient) -> None:
    email = new_email()
    arguments = ["users", "create", email, "--organizer", "--name", "Olivia", "--password", PASSWORD]

    done = app.test_cli_runner().invoke(args=arguments)

    assert done.exit_code == 0, done.output
    login = client.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD}).json
    me = client.get(f"{API}/users/me", headers={"Authorization": f"Bearer {login['access_token']}"}).json
    assert (me["role"], me["name"]) == ("organizer", "Olivia")
    again = app.test_cli_runner().invoke(args=arguments)
    assert (again.exit_code, again.output) == (1, "Error: An account with this email already exists.\n")


def test_only_the_first_organizer_becomes_the_owner(app: Flask) -> None:
    created = [
        app.test_cli_runner().invoke(args=["users", "create", new_email(), "--organizer", "--password", PASSWORD])
        for _ in range(2)
    ]

    assert [done.output.split()[1] for done in created] == ["owner", "organizer"]


def test_an_account_created_on_the_command_line_is_verified_without_an_email(
    app: Flask, client: FlaskClient, database: sa.Engine
) -> None:
    email = new_email()

    _users(app, "create", email, "--password", PASSWORD)

    login = client.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD}).json
    me = client.get(f"{API}/users/me", headers={"Authorization": f"Bearer {login['access_token']}"}).json
    assert me["email_verified"]
    with database.connect() as connection:
        assert connection.scalars(sa.select(OutboxEmail.kind)).all() == []


@pytest.mark.parametrize(("email", "password"), [("nobody", PASSWORD), ("a@example.com", "short")])
def test_invalid_account_is_rejected(app: Flask, email: str, password: str) -> None:
    done = app.test_cli_runner().invoke(args=["users", "create", email, "--password", password])

    assert done.exit_code == 1
    assert done.output.startswith("Error: ")


def test_list_shows_role_and_access_in_columns(app: Flask, client: FlaskClient) -> None:
    organizer, user, former = make_organizer(client), make_account(client, name=None), make_user(client)
    invited = new_email()
    client.post(f"{API}/users/", headers=organizer.headers, json={"email": invited, "name": "Grace Hopper"})
    client.delete(f"{API}/users/{former.id}", headers=organizer.headers)

    head, *lines = _users(app, "list").output.splitlines()

    by_column = {
        line.split()[0]: [line[head.index(name) :].split("  ")[0] for name in ("ROLE", "ACCESS", "ID", "NAME")]
        for line in lines
    }
    assert list(by_column) == sorted(by_column)
    assert by_column[organizer.email] == ["organizer", "active", organizer.id, "Olivia Organizer"]
    assert by_column[user.email] == ["user", "active", user.id, ""]
    assert by_column[former.email] == ["user", "none", former.id, "Ada Lovelace"]
    assert by_column[invited][:2] == ["user", "invited"]


def test_names_cannot_break_lines_or_control_the_terminal(app: Flask, client: FlaskClient, database: sa.Engine) -> None:
    user = make_user(client)
    with database.begin() as connection:
        connection.execute(sa.text(r"UPDATE users SET name = E'\x1b[2JAda\nroot@example.com  organizer\u009b31m'"))

    shown = app.test_cli_runner().invoke(args=["users", "list"], color=True).output  # as in a terminal

    assert shown.replace("\n", "").isprintable()
    assert [line.split()[0] for line in shown.splitlines()] == ["EMAIL", user.email]


def test_list_has_the_filters_of_the_api(app: Flask, client: FlaskClient) -> None:
    organizer, ada, former = make_organizer(client), make_user(client), make_user(client)
    client.delete(f"{API}/users/{former.id}", headers=organizer.headers)

    assert _listed(app) == sorted([organizer.email, ada.email, former.email])
    assert _listed(app, "--role", "organizer") == [organizer.email]
    assert _listed(app, "--inactive") == [former.email]
    assert _listed(app, "--active", "--role", "user") == [ada.email]
    assert _listed(app, "-q", "OLIVIA") == [organizer.email]
    assert _users(app, "list", "--role", "admin").exit_code == 2


def test_json_output_matches_the_api(app: Flask, client: FlaskClient) -> None:
    organizer = make_organizer(client)
    make_user(client)

    lines = _users(app, "list", "--json").output.splitlines()

    listed = client.get(f"{API}/users/", headers=organizer.headers).json
    assert [json.loads(line) for line in lines] == listed


def test_deactivated_account_loses_access_immediately_and_is_notified_once(
    app: Flask, client: FlaskClient, database: sa.Engine
) -> None:
    user = make_user(client)

    done = _users(app, "deactivate", user.email.upper())
    again = _users(app, "deactivate", user.email)

    assert (done.exit_code, done.output) == (0, f"{user.email} no longer has access.\n")
    assert (again.exit_code, again.output) == (0, f"{user.email} is already deactivated.\n")
    assert client.get(f"{API}/users/me", headers=user.headers).status_code == 401
    with database.connect() as connection:
        emails = connection.scalars(sa.select(OutboxEmail.kind).where(OutboxEmail.recipient == user.email)).all()
    assert emails == ["access_changed"]


def test_last_active_organizer_cannot_be_deactivated(app: Flask, client: FlaskClient) -> None:
    organizer = make_organizer(client)

    done = _users(app, "deactivate", organizer.email)

    assert (done.exit_code, done.output) == (
        1,
        "Error: This is the last active organizer. Make another account an organizer first.\n",
    )
    assert client.get(f"{API}/users/me", headers=organizer.headers).status_code == 200


def test_unknown_account_cannot_be_deactivated(app: Flask) -> None:
    done = _users(app, "deactivate", new_email())

    assert (done.exit_code, done.output) == (1, "Error: The account does not exist.\n")


def test_an_activated_account_can_log_in_again_and_is_notified(
    app: Flask, client: FlaskClient, database: sa.Engine
) -> None:
    user = make_user(client)
    _users(app, "deactivate", user.email)

    done = _users(app, "activate", user.email)
    again = _users(app, "activate", user.email)

    assert (done.exit_code, done.output) == (0, f"{user.email} has access again.\n")
    assert (again.exit_code, again.output) == (0, f"{user.email} already has access.\n")
    login = {"email": user.email, "password": PASSWORD}
    assert client.post(f"{API}/auth/login", json=login).status_code == 200
    with database.connect() as connection:
        emails = connection.scalars(sa.select(OutboxEmail.kind).where(OutboxEmail.recipient == user.email)).all()
    assert emails == ["access_changed", "access_changed"]


def test_unknown_account_cannot_be_activated(app: Flask) -> None:
    done = _users(app, "activate", new_email())

    assert (done.exit_code, done.output) == (1, "Error: The account does not exist.\n")
