"""Exporting the personal data of an account."""

from typing import Any

from flask.testing import FlaskClient

from tests.factories import (
    API,
    Account,
    book,
    make_event,
    make_key,
    make_organizer,
    make_unverified,
    make_user,
    new_email,
)
from tests.payments import PRICE, book_priced, pay


def _export(client: FlaskClient, account: Account) -> Any:
    return client.get(f"{API}/users/me/export", headers=account.headers).json


def test_the_export_contains_everything_about_the_account(client: FlaskClient) -> None:
    organizer, friend = make_organizer(client), make_user(client)
    event = make_event(client, organizer)
    own = book(client, organizer, event).json
    for_them = book(client, friend, event, guest_email=organizer.email).json
    book(client, friend, event)

    data = _export(client, organizer)

    assert data["account"] == client.get(f"{API}/users/me", headers=organizer.headers).json
    assert [membership["role"] for membership in data["memberships"]] == ["organizer"]
    assert [booking["id"] for booking in data["bookings"]] == [own["id"], for_them["id"]]
    assert [email["booking_id"] for email in data["emails"]] == [own["id"], for_them["id"]]
    assert (data["event_ids"], len(data["logins"])) == ([event["id"]], 1)


def test_the_export_contains_the_payments_of_the_buyer(client: FlaskClient) -> None:
    organizer, buyer, guest = make_organizer(client), make_user(client), make_user(client)
    booking = book_priced(client, buyer, organizer, guest_email=guest.email)
    pay(client, organizer, booking, reference="pi_1")

    data = _export(client, buyer)

    assert [(one["reference"], one["booking_id"], one["amount"]) for one in data["payments"]] == [
        ("pi_1", booking["id"], PRICE)
    ]
    assert [(one["status"], one["amount_due"]) for one in data["bookings"]] == [("confirmed", PRICE)]
    assert _export(client, guest)["payments"] == []


def test_the_export_of_a_guest_contains_the_payments_for_bookings_made_with_a_key(client: FlaskClient) -> None:
    organizer, guest = make_organizer(client), make_user(client)
    key = make_key(client, organizer)
    booking = book_priced(client, key, organizer, guest_name="Grace", guest_email=guest.email)
    pay(client, key, booking, reference="pi_2")

    assert [one["reference"] for one in _export(client, guest)["payments"]] == ["pi_2"]


def test_the_export_of_an_unverified_account_has_only_what_it_did_itself(client: FlaskClient) -> None:
    friend, address = make_user(client), new_email()
    book(client, friend, make_event(client), guest_email=address)

    data = _export(client, make_unverified(client, address))

    assert (data["bookings"], [email["kind"] for email in data["emails"]]) == ([], ["email_verification"])
