"""The default limits on emails that other accounts cause to one address."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.models import Event, OutboxEmail
from tests.factories import (
    API,
    Account,
    book,
    make_event,
    make_organizer,
    make_user,
    new_email,
    verify_email,
)
from tests.polling import wait_until
from tests.sql import waiting_sessions

pytestmark = pytest.mark.usefixtures("delivered_limits")


def test_one_account_cannot_flood_a_mailbox(client: FlaskClient, user: Account) -> None:
    organizer, victim = make_organizer(client), make_user(client)
    event = make_event(client, organizer, capacity=1000)
    booking = book(client, user, event, guest_email=victim.email).json
    url = f"{API}/bookings/{booking['id']}"

    def change(number: int) -> int:  # without repeating the guest's address
        return client.patch(url, headers=user.headers, json={"ticket_count": 2 - number % 2}).status_code

    assert [change(number) for number in range(18)] == [200] * 18
    assert client.post(f"{url}/emails", headers=user.headers).status_code == 202
    refused = [change(18), client.post(f"{url}/emails", headers=user.headers).status_code]
    assert refused == [429, 429]
    assert book(client, user, event, guest_email=victim.email.upper()).status_code == 429
    assert book(client, user, event, guest_email=new_email()).status_code == 201
    assert book(client, victim, event).status_code == 201


def test_many_accounts_together_cannot_flood_a_mailbox(client: FlaskClient) -> None:
    event, victim = make_event(client, capacity=1000), make_user(client)
    attackers = [make_user(client) for _ in range(6)]

    booked = [book(client, attackers[n % 6], event, guest_email=victim.email).status_code for n in range(101)]

    assert booked == [201] * 100 + [429]
    assert book(client, victim, event).status_code == 201


def test_a_stranger_cannot_use_up_the_share_of_others(client: FlaskClient, user: Account) -> None:
    organizer, friend, address = make_organizer(client), make_user(client), new_email()
    event = make_event(client, organizer, capacity=1000)
    booked = [book(client, user, event, guest_email=address).status_code for _ in range(21)]

    friends: Any = book(client, friend, event, guest_email=address).json
    invited = client.post(f"{API}/users/", headers=organizer.headers, json={"email": address})

    assert booked == [201] * 20 + [429]
    assert invited.status_code == 201
    resend = f"{API}/bookings/{friends['id']}/emails"
    assert client.post(resend, headers=organizer.headers).status_code == 202


def test_changes_that_race_with_a_change_of_the_guest_cannot_flood_a_mailbox(
    app: Flask, client: FlaskClient, database: sa.Engine, user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "GUEST_MAIL_LIMIT", "1 per hour")
    event, stranger = make_event(client, capacity=100), new_email()
    path = f"{API}/bookings/{book(client, user, event).json['id']}"

    def change(body: dict[str, Any]) -> int:
        return app.test_client().patch(path, headers=user.headers, json=body).status_code

    with ThreadPoolExecutor(4) as pool, database.connect() as holder:
        holder.execute(sa.select(Event.id).where(Event.id == UUID(event["id"])).with_for_update())
        changes = [pool.submit(change, {"guest_email": stranger})]
        wait_until(lambda: waiting_sessions(database) == 1, seconds=3)
        changes += [pool.submit(change, {"ticket_count": count}) for count in (2, 3, 4)]
        time.sleep(1)  # until they have read the guest's address and wait for their turn
        holder.rollback()
        [each.result() for each in changes]

    with database.connect() as connection:
        emails = sa.select(sa.func.count()).where(OutboxEmail.recipient == stranger)
        assert connection.scalars(emails).one() <= 1


def test_bookings_can_be_cancelled_after_all_limits_are_used_up(client: FlaskClient, user: Account) -> None:
    event, guest = make_event(client, capacity=100), new_email()
    booked = [book(client, user, event, guest_email=guest) for _ in range(21)]

    cancelled = [
        client.delete(f"{API}/bookings/{response.json['id']}", headers=user.headers).status_code
        for response in booked[:20]
    ]

    assert [response.status_code for response in booked] == [201] * 20 + [429]
    assert cancelled == [200] * 20


def test_an_account_that_books_and_cancels_in_turn_is_limited_as_well(client: FlaskClient, user: Account) -> None:
    event, guest = make_event(client, capacity=100), new_email()

    def book_and_cancel() -> list[int]:
        booked = book(client, user, event, guest_email=guest)
        cancelled = booked.json and client.delete(f"{API}/bookings/{booked.json.get('id')}", headers=user.headers)
        return [booked.status_code, cancelled.status_code]

    assert [book_and_cancel() for _ in range(10)] == [[201, 200]] * 10
    assert book(client, user, event, guest_email=guest).status_code == 429
    assert book(client, make_user(client), event, guest_email=guest).status_code == 201


def test_replacing_a_guest_counts_for_the_former_guest_as_well(client: FlaskClient, user: Account) -> None:
    event, guest = make_event(client, capacity=100), new_email()
    booking = book(client, user, event, guest_email=guest).json

    def change(email: str) -> int:
        body = {"guest_email": email}
        return client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json=body).status_code

    changed = [change(new_email() if number % 2 else guest) for number in range(1, 21)]

    assert changed == [200] * 19 + [429]


def _move(client: FlaskClient, organizer: Account, event: dict[str, Any], place: object) -> Any:
    return client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"location": f"Hall {place}"})


def test_guests_are_not_flooded_with_changes_of_an_event(client: FlaskClient, user: Account) -> None:
    organizer = make_organizer(client)
    event, other = make_event(client, organizer), make_event(client, organizer)
    unnoticed = {_move(client, organizer, event, number).status_code for number in range(11)}
    for each in (event, other):
        book(client, user, each)
    strangers = {_move(client, make_organizer(client), event, number).status_code for number in range(2)}

    moved = [_move(client, organizer, event, number) for number in range(11)]

    assert (unnoticed, strangers) == ({200}, {403})
    assert [response.status_code for response in moved] == [200] * 10 + [429]
    assert 0 < int(moved[-1].headers["Retry-After"]) <= 60 * 60
    url = f"{API}/events/{event['id']}"
    assert client.patch(url, headers=organizer.headers, json={"capacity": 20}).status_code == 200
    assert _move(client, organizer, other, 1).status_code == 200
    assert client.post(f"{url}/cancel", headers=organizer.headers).status_code == 200


def test_guests_are_not_flooded_with_changes_of_many_events(client: FlaskClient, user: Account) -> None:
    organizer = make_organizer(client)
    events = [make_event(client, organizer) for _ in range(11)]
    for event in events:
        book(client, user, event)

    moved = [_move(client, organizer, event, number).status_code for event in events for number in range(10)]

    assert moved == [200] * 100 + [429] * 10
    url = f"{API}/events/{events[10]['id']}"
    assert client.patch(url, headers=organizer.headers, json={"capacity": 20}).status_code == 200
    assert client.post(f"{url}/cancel", headers=organizer.headers).status_code == 200


@pytest.mark.parametrize(
    ("given", "taken"), [({"is_active": True}, {"is_active": False}), ({"role": "organizer"}, {"role": "user"})]
)
def test_organizers_together_cannot_flood_an_account_by_granting_and_revoking(
    client: FlaskClient, user: Account, given: dict[str, Any], taken: dict[str, Any]
) -> None:
    organizers = [make_organizer(client), make_organizer(client)]
    verify_email(client, user)

    def change(account: Account, number: int, changes: dict[str, Any]) -> int:
        url = f"{API}/users/{account.id}"
        return client.patch(url, headers=organizers[number % 2].headers, json=changes).status_code

    toggled = [[change(user, number, taken), change(user, number, given)] for number in range(11)]

    assert toggled == [[200, 200]] * 10 + [[200, 429]]
    assert change(user, 0, {"name": "Grace Hopper"}) == 200
    assert change(verify_email(client, make_user(client)), 0, given) == 200
    assert client.delete(f"{API}/users/{user.id}", headers=organizers[0].headers).status_code == 204


def test_replayed_and_refused_bookings_do_not_count_as_emails(client: FlaskClient, user: Account) -> None:
    event, guest = make_event(client, capacity=10), new_email()
    headers = {**user.headers, "Idempotency-Key": "one"}
    order = {"event_id": event["id"], "guest_email": guest}
    again = [client.post(f"{API}/bookings/", headers=headers, json=order).status_code for _ in range(25)]
    refused = [book(client, user, event, ticket_count=10, guest_email=guest).status_code for _ in range(25)]

    assert (set(again), set(refused)) == ({201}, {409})
    assert book(client, user, event, guest_email=guest).status_code == 201


def test_addresses_that_differ_after_a_plus_are_one_mailbox_for_guests_but_not_for_logins(
    client: FlaskClient, user: Account
) -> None:
    event, box = make_event(client, capacity=100), new_email().removesuffix("@example.com")
    guests = [f"{box}+{number}@example.com" for number in range(19)] + [f"{box}@example.com"]
    invitation = {"email": f"{box.upper()}+20+20@example.com"}

    assert {book(client, user, event, guest_email=guest).status_code for guest in guests} == {201}

    assert book(client, user, event, guest_email=f"{box}+20@example.com").status_code == 429
    assert client.post(f"{API}/users/", headers=make_organizer(client).headers, json=invitation).status_code == 201
    assert book(client, user, event, guest_email=f"another-{box}@example.com").status_code == 201
    logins = [client.post(f"{API}/auth/login", json={"email": guest, "password": "wrong"}) for guest in guests]
    assert {login.status_code for login in logins} == {401}


def test_a_booking_is_replayed_even_after_the_email_limit_of_its_guest_is_used_up(
    client: FlaskClient, user: Account
) -> None:
    event, guest = make_event(client, capacity=100), new_email()

    def order(key: str) -> Any:
        body = {"event_id": event["id"], "guest_email": guest}
        return client.post(f"{API}/bookings/", headers={**user.headers, "Idempotency-Key": key}, json=body)

    first = [order(f"k{number}") for number in range(20)]
    again = order("k19")

    assert {response.status_code for response in first} == {201}
    assert order("k20").status_code == 429
    assert (again.status_code, again.headers.get("Idempotency-Replayed")) == (201, "true")
    assert again.data == first[-1].data


def test_an_address_gets_few_invitations_from_each_organizer(client: FlaskClient) -> None:
    organizer, address = make_organizer(client), new_email()

    def invite(account: Account) -> int:
        return client.post(f"{API}/users/", headers=account.headers, json={"email": address}).status_code

    assert [invite(organizer) for _ in range(21)] == [201] + [200] * 19 + [429]
    assert invite(make_organizer(client)) == 200


def test_organizers_together_cannot_flood_an_address_with_invitations(client: FlaskClient) -> None:
    organizers, address = [make_organizer(client) for _ in range(6)], new_email()
    responses = [
        client.post(f"{API}/users/", headers=organizers[number % 6].headers, json={"email": address}).status_code
        for number in range(101)
    ]

    assert responses == [201] + [200] * 99 + [429]


def test_an_organizer_can_invite_a_hundred_people_per_hour(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    responses = [
        client.post(f"{API}/users/", headers=organizer.headers, json={"email": new_email()}).status_code
        for _ in range(101)
    ]

    assert responses == [201] * 100 + [429]
