"""Payments that confirm bookings, and payments that must be refunded."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import API, Account, Key, book, book_for_guest, make_event
from tests.inventory.conftest import Event, cancel, code_of, confirm, emails_about, get, let_holds_expire
from tests.payments import payment_for, set_price

pytestmark = pytest.mark.usefixtures("audited")

RECORDED = "The payment was recorded and must be refunded."


@pytest.fixture
def held(client: FlaskClient, key: Key, priced: Event) -> Any:
    """Two tickets for 36 euros, held for a guest."""
    return book_for_guest(client, key, priced, ticket_count=2).json


def _payments(client: FlaskClient, key: Key, event: Event, **query: Any) -> list[tuple[int, str | None, int]]:
    found = client.get(f"{API}/events/{event['id']}/payments", headers=key.headers, query_string=query).json
    return [(payment["amount"], payment["refusal"], payment["amount_to_refund"]) for payment in found]


def test_a_payment_confirms_a_booking_and_can_be_reported_again(
    client: FlaskClient, key: Key, priced: Event, held: Any, database: sa.Engine
) -> None:
    confirmed = confirm(client, key, held)

    assert (confirmed.status_code, confirmed.json["status"]) == (200, "confirmed")
    assert (confirmed.json["amount_due"], confirmed.json["refund_due"]) == (3600, False)
    assert confirm(client, key, held).json == confirmed.json
    assert confirm(client, key, held, provider="Stripe").json == confirmed.json
    assert emails_about(database, held) == ["booking_confirmed"]
    assert _payments(client, key, priced) == [(3600, None, 0)]


def test_a_repeated_confirmation_ignores_if_match(client: FlaskClient, key: Key, priced: Event, held: Any) -> None:
    path = f"{API}/bookings/{held['id']}"
    etag = client.get(path, headers=key.headers).headers["ETag"]
    payment = payment_for(held)
    requests = [
        client.post(f"{path}/confirm", headers={**key.headers, "If-Match": etag}, json={"payment": payment})
        for _ in range(2)
    ]
    other = client.post(
        f"{path}/confirm",
        headers={**key.headers, "If-Match": etag},
        json={"payment": payment_for(held, reference="pi_2")},
    )

    assert [response.status_code for response in requests] == [200, 200]
    assert requests[0].json == requests[1].json
    assert code_of(other) == (412, "stale-version")
    assert _payments(client, key, priced) == [(3600, None, 0)]


def test_priced_tickets_must_be_paid(client: FlaskClient, key: Key, user: Account, priced: Event, held: Any) -> None:
    own = book(client, user, priced).json
    without = client.post(f"{API}/bookings/{held['id']}/confirm", headers=key.headers, json={})
    by_buyer = client.post(f"{API}/bookings/{own['id']}/confirm", headers=user.headers, json={})

    assert code_of(without) == code_of(by_buyer) == (409, "payment-required")
    assert code_of(confirm(client, user, own)) == (403, "permission-denied")
    assert get(client, key, held)["status"] == "held"


@pytest.mark.parametrize("wrong", [{"amount": 3599}, {"amount": 360000}, {"currency": "USD"}], ids=str)
def test_a_payment_with_another_amount_or_currency_must_be_refunded(
    client: FlaskClient, key: Key, priced: Event, held: Any, wrong: dict[str, Any]
) -> None:
    refused = confirm(client, key, held, **wrong)

    assert (code_of(refused), refused.json["refund_due"]) == ((409, "payment-mismatch"), True)
    assert (get(client, key, held)["status"], get(client, key, held)["refund_due"]) == ("held", True)
    amount = wrong.get("amount", 3600)
    assert _payments(client, key, priced) == [(amount, "payment_mismatch", amount)]
    repeated = confirm(client, key, held)
    assert (code_of(repeated), repeated.json["refund_due"]) == ((409, "payment-mismatch"), False)
    assert confirm(client, key, held, reference="pi_2").json["status"] == "confirmed"


def test_a_second_payment_must_be_refunded(client: FlaskClient, key: Key, priced: Event, held: Any) -> None:
    confirm(client, key, held)

    second = confirm(client, key, held, reference="pi_2")

    assert code_of(second) == code_of(confirm(client, key, held, reference="pi_2")) == (409, "already-paid")
    assert (get(client, key, held)["status"], get(client, key, held)["refund_due"]) == ("confirmed", True)
    assert _payments(client, key, priced, refund_due="true") == [(3600, "already_paid", 3600)]
    assert _payments(client, key, priced, refund_due="false") == [(3600, None, 0)]


def test_a_payment_pays_for_one_booking_only(
    client: FlaskClient, key: Key, organizer: Account, priced: Event, held: Any
) -> None:
    confirm(client, key, held, reference="pi_1")
    other_event = make_event(client, organizer, currency="EUR")
    set_price(client, organizer, other_event, 3600)
    for event in (priced, other_event):
        count = 2 if event is priced else 1
        other = book_for_guest(client, key, event, ticket_count=count).json

        assert code_of(confirm(client, key, other, reference="pi_1")) == (409, "payment-mismatch")
        assert get(client, key, other)["refund_due"] is False
    assert _payments(client, key, priced) == [(3600, None, 0)]


def test_a_late_payment_confirms_the_booking_while_tickets_are_left(
    client: FlaskClient, key: Key, priced: Event, held: Any, database: sa.Engine
) -> None:
    let_holds_expire(database)
    book_for_guest(client, key, priced, ticket_count=3)

    assert confirm(client, key, held).json["status"] == "confirmed"
    assert _payments(client, key, priced) == [(3600, None, 0)]


def test_a_payment_after_the_tickets_are_gone_must_be_refunded(
    client: FlaskClient, key: Key, priced: Event, held: Any, database: sa.Engine
) -> None:
    let_holds_expire(database)
    others = book_for_guest(client, key, priced, ticket_count=5).json

    refused = confirm(client, key, held)

    assert code_of(refused) == (409, "hold-expired")
    assert (get(client, key, held)["status"], get(client, key, held)["refund_due"]) == ("expired", True)
    cancel(client, key, others)
    assert code_of(confirm(client, key, held)) == (409, "hold-expired")  # the money may be on its way back
    assert _payments(client, key, priced) == [(3600, "hold_expired", 3600)]


def test_a_payment_for_a_cancelled_booking_must_be_refunded(
    client: FlaskClient, key: Key, priced: Event, held: Any
) -> None:
    cancel(client, key, held)

    refused, repeated = confirm(client, key, held), confirm(client, key, held)

    assert code_of(refused) == (409, "booking-cancelled")
    assert refused.json["detail"] == f"The booking is cancelled. {RECORDED}"
    assert repeated.json == refused.json
    assert _payments(client, key, priced) == [(3600, "booking_cancelled", 3600)]


def test_a_payment_for_a_waiting_booking_must_be_refunded(
    client: FlaskClient, key: Key, organizer: Account, priced: Event, held: Any
) -> None:
    client.patch(f"{API}/events/{priced['id']}", headers=organizer.headers, json={"waitlist": "on"})
    waiting = book_for_guest(client, key, priced, ticket_count=4, waitlist=True).json
    assert (waiting["status"], waiting["amount_due"]) == ("waitlisted", 7200)

    refused = confirm(client, key, waiting)

    assert code_of(refused) == (409, "waiting-list")
    assert refused.json["detail"] == f"The booking is still on the waiting list. {RECORDED}"
    assert get(client, key, waiting)["refund_due"] is True
    assert _payments(client, key, priced) == [(7200, "waiting_list", 7200)]


def test_cancelling_a_paid_booking_makes_a_refund_due(
    client: FlaskClient, key: Key, organizer: Account, priced: Event, held: Any
) -> None:
    confirm(client, key, held)
    reduced = client.patch(f"{API}/bookings/{held['id']}", headers=key.headers, json={"ticket_count": 1}).json
    assert (reduced["amount_due"], reduced["refund_due"]) == (1800, True)
    assert _payments(client, key, priced) == [(3600, None, 1800)]

    client.post(f"{API}/events/{priced['id']}/cancel", headers=organizer.headers)

    assert _payments(client, key, priced) == [(3600, None, 3600)]
    path = f"{API}/events/{priced['id']}/bookings"
    found = client.get(path, headers=key.headers, query_string={"refund_due": "true"}).json
    assert [booking["id"] for booking in found] == [held["id"]]


def test_a_confirmed_booking_cannot_become_more_expensive(
    client: FlaskClient, key: Key, priced: Event, held: Any
) -> None:
    confirm(client, key, held)

    more = client.patch(f"{API}/bookings/{held['id']}", headers=key.headers, json={"ticket_count": 3})

    assert code_of(more) == (409, "payment-required")
    assert get(client, key, held)["ticket_count"] == 2


@pytest.mark.parametrize(
    ("payment", "field"),
    [
        ({"amount": 0}, "payment.amount"),
        ({"amount": 10**13}, "payment.amount"),
        ({"currency": "XYZ"}, "payment.currency"),
        ({"currency": "eur"}, "payment.currency"),
        ({"provider": ""}, "payment.provider"),
        ({"provider": "\u0130" * 26}, "payment.provider"),  # 52 characters in lower case
        ({"reference": "x" * 256}, "payment.reference"),
    ],
    ids=str,
)
def test_an_error_names_the_invalid_field_of_a_payment(
    client: FlaskClient, key: Key, held: Any, payment: dict[str, Any], field: str
) -> None:
    refused = confirm(client, key, held, **payment)

    assert code_of(refused) == (422, "invalid-input")
    assert [error["field"] for error in refused.json["errors"]] == [field]


def test_a_price_needs_a_currency_and_fixes_it(client: FlaskClient, organizer: Account) -> None:
    event = make_event(client, organizer)
    types = f"{API}/events/{event['id']}/ticket-types"
    without = client.post(types, headers=organizer.headers, json={"name": "Front row", "price": 100})
    path = f"{API}/events/{event['id']}"
    chosen = client.patch(path, headers=organizer.headers, json={"currency": "EUR"})
    created = client.post(types, headers=organizer.headers, json={"name": "Front row", "price": 100})

    assert (code_of(without), without.json["errors"][0]["field"]) == ((422, "invalid-input"), "price")
    assert (chosen.status_code, created.status_code) == (200, 201)
    for currency in ("USD", None):
        changed = client.patch(path, headers=organizer.headers, json={"currency": currency})
        assert (code_of(changed), changed.json["errors"][0]["field"]) == ((422, "invalid-input"), "currency")
