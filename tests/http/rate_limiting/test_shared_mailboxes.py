"""The default limits on emails to a mailbox from accounts that have its address, with or without a `+`."""

from typing import Any

import pytest
import redis
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.http.rate_limiting.storage import KEY_PREFIX
from bookings_api.models import OutboxEmail
from tests.factories import (
    API,
    PASSWORD,
    Account,
    book,
    log_in,
    make_event,
    make_organizer,
    make_user,
    new_email,
    verify_email,
)

pytestmark = pytest.mark.usefixtures("delivered_limits")


def test_signing_up_with_another_persons_address_sends_them_few_emails(
    app: Flask, client: FlaskClient, database: sa.Engine
) -> None:
    impostor, event = make_user(client), make_event(client, capacity=1000)
    path = f"{API}/bookings/{book(client, impostor, event).json['id']}"

    def change(number: int) -> int:
        return client.patch(path, headers=impostor.headers, json={"ticket_count": 2 - number % 2}).status_code

    changed = [change(number) for number in range(59)]
    _let_a_minute_pass(app)
    changed += [change(number) for number in range(59, 119)]
    _let_a_minute_pass(app)

    assert changed == [200] * 119
    assert change(119) == 429
    assert book(client, impostor, event).status_code == 429
    assert client.post(f"{path}/emails", headers=impostor.headers).status_code == 429
    with database.connect() as connection:
        emails = sa.select(sa.func.count()).where(OutboxEmail.recipient == impostor.email)
        assert connection.scalars(emails).one() == 120
    assert client.delete(path, headers=impostor.headers).status_code == 200


def _let_a_minute_pass(app: Flask) -> None:
    """Reset all windows of one minute."""
    with redis.Redis.from_url(app.config["REDIS_URL"]) as connection:
        connection.delete(*connection.scan_iter(f"{KEY_PREFIX}:*/minute"))


def _sign_up(client: FlaskClient, email: str) -> Account:
    created: Any = client.post(f"{API}/auth/signup", json={"email": email, "password": PASSWORD}).json
    return log_in(client, Account(created["id"], email, "", ""))


def test_accounts_of_one_mailbox_share_its_limit(app: Flask, client: FlaskClient, database: sa.Engine) -> None:
    event, (box, domain) = make_event(client, capacity=1000), new_email().split("@")
    victim = _sign_up(client, f"{box}@{domain}")
    impostors = [_sign_up(client, f"{box}+{number}@{domain}") for number in range(10)]

    booked = []
    for _ in range(3):
        booked += [book(client, impostor, event).status_code for impostor in impostors for _ in range(6)]
        _let_a_minute_pass(app)

    assert booked == [201] * 100 + [429] * 80
    with database.connect() as connection:
        confirmations = sa.select(sa.func.count()).where(OutboxEmail.booking_id.is_not(None))
        assert connection.scalars(confirmations).one() == 100
    refresh = {"Authorization": f"Bearer {impostors[0].refresh_token}"}
    refreshed: Any = client.post(f"{API}/auth/refresh", headers=refresh).json
    again = Account(impostors[0].id, impostors[0].email, refreshed["access_token"], "")
    assert book(client, again, event).status_code == 429
    assert book(client, victim, event).status_code == 201


def test_password_resets_count_per_client_and_mailbox(app: Flask) -> None:
    box, domain = new_email().split("@")

    def reset(number: int, client_address: str) -> int:
        account, environ = {"email": f"{box}+{number}@{domain}"}, {"REMOTE_ADDR": client_address}
        return app.test_client().post(f"{API}/auth/password-reset", json=account, environ_base=environ).status_code

    assert [reset(number, "192.0.2.1") for number in range(6)] == [202] * 5 + [429]
    assert reset(0, "192.0.2.2") == 202


def test_an_account_cannot_use_up_the_share_of_another_account_of_its_mailbox(client: FlaskClient) -> None:
    event, (box, domain) = make_event(client, capacity=1000), new_email().split("@")
    stranger, owner = (_sign_up(client, f"{box}+{number}@{domain}") for number in range(2))

    booked = [book(client, stranger, event) for _ in range(21)]

    assert [response.status_code for response in booked] == [201] * 20 + [429]
    own: Any = book(client, owner, event)
    assert own.status_code == 201
    url = f"{API}/bookings/{own.json['id']}"
    assert client.patch(url, headers=owner.headers, json={"ticket_count": 2}).status_code == 200
    assert book(client, owner, event, guest_email=new_email()).status_code == 201
    cancelled = [
        client.delete(f"{API}/bookings/{response.json['id']}", headers=stranger.headers).status_code
        for response in booked[:20]
    ]
    assert cancelled == [200] * 20


def test_strangers_cannot_use_up_the_share_of_an_account_with_a_suffix(client: FlaskClient) -> None:
    event, (box, domain) = make_event(client, capacity=1000), new_email().split("@")
    owner, strangers = _sign_up(client, f"{box}+events@{domain}"), [make_user(client) for _ in range(6)]

    booked = [book(client, strangers[n % 6], event, guest_email=owner.email).status_code for n in range(101)]

    assert booked == [201] * 100 + [429]
    assert book(client, owner, event).status_code == 201


def test_cancellations_of_own_bookings_count_but_are_never_refused(app: Flask, client: FlaskClient) -> None:
    event, user = make_event(client, capacity=1000), make_user(client)
    statuses = []
    for _ in range(4):
        for _ in range(20):
            booked: Any = book(client, user, event)
            statuses.append(booked.status_code)
            if booked.status_code == 201:
                url = f"{API}/bookings/{booked.json['id']}"
                assert client.delete(url, headers=user.headers).status_code == 200
        _let_a_minute_pass(app)

    assert statuses == [201] * 60 + [429] * 20


@pytest.mark.parametrize(
    ("given", "taken"), [({"is_active": True}, {"is_active": False}), ({"role": "organizer"}, {"role": "user"})]
)
def test_rights_granted_to_accounts_of_one_mailbox_count_together(
    client: FlaskClient, given: dict[str, Any], taken: dict[str, Any]
) -> None:
    organizers, (box, domain) = [make_organizer(client) for _ in range(2)], new_email().split("@")
    accounts = [verify_email(client, _sign_up(client, f"{box}+{number}@{domain}")) for number in range(2)]

    def change(number: int, changes: dict[str, Any]) -> int:
        url = f"{API}/users/{accounts[number % 2].id}"
        return client.patch(url, headers=organizers[number // 2 % 2].headers, json=changes).status_code

    toggled = [[change(number, taken), change(number, given)] for number in range(11)]

    assert toggled == [[200, 200]] * 10 + [[200, 429]]
    assert change(1, taken) == 200
