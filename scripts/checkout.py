"""Acts as a checkout page whose customers pay on time, late, twice, wrongly or never. Then reconciles the money.

    scripts/checkout [--url http://localhost:8000] [--api-key ebk_...] [--customers 2]

The API key needs the scopes events:write, bookings:read and bookings:write. The script creates an event, so run it
against a test installation. A run takes a minute, because some customers pay after their hold has expired. Exits with
status 1 if money and tickets do not agree.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx

from scripts.reconciliation import Expected, differences, summary

Json = dict[str, Any]

PRICE, CURRENCY = 1800, "EUR"
TICKETS, MOST_TICKETS = 2, 10
RETRY_SECONDS = 60
RETRIED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
EVENT = {
    "title": "Rehearsal of the checkout page",
    "location": "Online",
    "timezone": "Europe/Berlin",
    "starts_at": "2099-06-19T19:30:00+02:00",
    "ends_at": "2099-06-19T22:00:00+02:00",
    "currency": CURRENCY,
}


class Service:
    """Sends requests with an API key. Repeats them after timeouts and outages, because all are safe to repeat."""

    def __init__(self, url: str, api_key: str) -> None:
        headers = {"Authorization": f"Bearer {api_key}"}
        self._http = httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=30)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the response to a request. Repeats the request while the service is unavailable or busy."""
        gives_up_at = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError:
                if time.monotonic() > gives_up_at:
                    raise
                time.sleep(1)
                continue
            if response.status_code not in RETRIED or time.monotonic() > gives_up_at:
                return response
            time.sleep(int(response.headers.get("Retry-After", 1)))

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Return the JSON of a successful response. Ends the script if the request fails."""
        return _successful(self.send(method, path, **options)).json()

    def whole_list(self, path: str, **filters: Any) -> Iterator[Json]:
        """Yield all items of a list."""
        options: Json = {"params": {"page_size": 100, "after": "", **filters}}
        while True:
            response = _successful(self.send("GET", path, **options))
            yield from response.json()
            if "next" not in response.links:
                return
            # the link contains the filters
            path, options = str(response.url.join(response.links["next"]["url"])), {}

    def now(self) -> datetime:
        """Return the service's time, in whole seconds."""
        return parsedate_to_datetime(self.send("GET", "/events/").headers["Date"])


def _successful(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        request = response.request
        sys.exit(f"checkout: {request.method} {request.url} returned {response.status_code}: {response.text}")
    return response


@dataclass
class Checkout:
    """A checkout page that sells the tickets of one event, and what it expects to find in the end."""

    service: Service
    event_id: str
    expected: Expected = field(default_factory=Expected)

    def order(self, count: int, **options: Any) -> httpx.Response:
        """Try to hold tickets for a new customer. The `external_id` makes it safe to repeat the request."""
        customer = uuid4().hex[:12]
        order = {"event_id": self.event_id, "ticket_count": count, "external_id": f"checkout-{customer}", **options}
        guest = {"guest_name": "A Customer", "guest_email": f"{customer}@example.com"}
        return self.service.send("POST", "/bookings/", json=order | guest)

    def book(self, **options: Any) -> Json:
        """Hold tickets for a new customer, and return the booking."""
        booking: Json = _successful(self.order(TICKETS, **options)).json()
        return booking

    def pay(
        self, booking: Json, *, amount: int | None = None, currency: str = CURRENCY, refused: str | None = None
    ) -> str:
        """Charge the customer and report the payment. `refused` is the expected problem code. Returns the reference."""
        reference = f"pi_{uuid4().hex}"
        amount = booking["amount_due"] if amount is None else amount
        self.expected.collect(reference, amount, currency)
        self.report(booking, reference, amount=amount, currency=currency, refused=refused)
        if refused:
            self.expected.refund(reference)
        else:
            self.expected.confirmed[booking["id"]] = booking["ticket_count"]
        return reference

    def report(
        self, booking: Json, reference: str, *, amount: int, currency: str = CURRENCY, refused: str | None = None
    ) -> None:
        """Report a payment to the service, and note if the response is unexpected."""
        payment = {"provider": "rehearsal", "reference": reference, "amount": amount, "currency": currency}
        path = f"/bookings/{booking['id']}/confirm"
        response = self.service.send("POST", path, json={"payment": payment}).json()
        outcome = response.get("code", response["status"])
        if outcome != (refused or "confirmed"):
            self.expected.problems.append(f"payment {reference}: expected {refused or 'confirmed'}, got {outcome}")


def never_pays(checkout: Checkout) -> None:
    checkout.book(hold_minutes=1)


def pays(checkout: Checkout) -> None:
    checkout.pay(checkout.book())


def pays_after_extending(checkout: Checkout) -> None:
    booking = checkout.book()
    checkout.service.request("POST", f"/bookings/{booking['id']}/extend")
    checkout.pay(booking)


def is_reported_three_times(checkout: Checkout) -> None:
    booking = checkout.book()
    reference = checkout.pay(booking)
    for _ in range(2):
        checkout.report(booking, reference, amount=booking["amount_due"])


def pays_twice(checkout: Checkout) -> None:
    booking = checkout.book()
    checkout.pay(booking)
    checkout.pay(booking, refused="already-paid")


def pays_too_little_then_all(checkout: Checkout) -> None:
    booking = checkout.book()
    checkout.pay(booking, amount=PRICE, refused="payment-mismatch")
    checkout.pay(booking)


def pays_too_much(checkout: Checkout) -> None:
    booking = checkout.book(hold_minutes=1)
    checkout.pay(booking, amount=booking["amount_due"] + 1, refused="payment-mismatch")


def pays_in_another_currency(checkout: Checkout) -> None:
    checkout.pay(checkout.book(hold_minutes=1), currency="USD", refused="payment-mismatch")


def presents_a_used_payment(checkout: Checkout) -> None:
    first, second = checkout.book(), checkout.book(hold_minutes=1)
    reference = checkout.pay(first)
    checkout.report(second, reference, amount=second["amount_due"], refused="payment-mismatch")


def cancels_then_pays(checkout: Checkout) -> None:
    booking = checkout.book()
    checkout.service.request("DELETE", f"/bookings/{booking['id']}")
    checkout.pay(booking, refused="booking-cancelled")


def pays_then_cancels(checkout: Checkout) -> None:
    booking = checkout.book()
    reference = checkout.pay(booking)
    checkout.service.request("DELETE", f"/bookings/{booking['id']}")
    checkout.expected.refund(reference)
    del checkout.expected.confirmed[booking["id"]]


def pays_then_returns_a_ticket(checkout: Checkout) -> None:
    booking = checkout.book()
    reference = checkout.pay(booking)
    checkout.service.request("PATCH", f"/bookings/{booking['id']}", json={"ticket_count": TICKETS - 1})
    checkout.expected.refund(reference, PRICE)
    checkout.expected.confirmed[booking["id"]] = TICKETS - 1


# Customers that pay before their hold ends, or not at all
IN_TIME = (
    never_pays,
    pays,
    pays_after_extending,
    is_reported_three_times,
    pays_twice,
    pays_too_little_then_all,
    pays_too_much,
    pays_in_another_currency,
    presents_a_used_payment,
    cancels_then_pays,
    pays_then_cancels,
    pays_then_returns_a_ticket,
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/checkout", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--api-key", default=os.environ.get("BOOKINGS_API_KEY"), help="default: $BOOKINGS_API_KEY")
    parser.add_argument("--customers", type=int, default=2, help="number of customers of each kind")
    options = parser.parse_args()
    if not options.api_key:
        parser.error("Set --api-key or BOOKINGS_API_KEY.")
    service = Service(options.url, options.api_key)
    checkout = Checkout(service, _create_event(service, customers=options.customers))
    print(f"Event: {checkout.event_id}", flush=True)
    _sell(checkout, options.customers)
    payments, bookings, refunds = (
        list(service.whole_list(f"/events/{checkout.event_id}/{path}", **filters))
        for path, filters in (("payments", {}), ("bookings", {}), ("payments", {"refund_due": "true"}))
    )
    capacity = service.request("GET", f"/events/{checkout.event_id}/capacity")
    print(summary(payments, bookings))
    found = differences(checkout.expected, payments=payments, refunds=refunds, bookings=bookings, capacity=capacity)
    print("\n".join(["DIFFERENCES", *found]) if found else "Money and tickets agree.")
    return 1 if found else 0


def _create_event(service: Service, *, customers: int) -> str:
    """Create an event with enough tickets for all customers, and return its ID."""
    # two groups of customers pay late, and one customer books twice
    capacity = customers * TICKETS * (len(IN_TIME) + 3)
    headers = {"Idempotency-Key": uuid4().hex}
    event = service.request("POST", "/events/", json={**EVENT, "capacity": capacity}, headers=headers)
    [ticket_type] = service.request("GET", f"/events/{event['id']}/ticket-types")
    path = f"/events/{event['id']}/ticket-types/{ticket_type['id']}"
    service.request("PATCH", path, json={"price": PRICE})
    return str(event["id"])


def _sell(checkout: Checkout, customers: int) -> None:
    """Sell tickets to customers of all kinds, several at a time, until the event is sold out."""

    def hold(_: int) -> Json:
        return checkout.book(hold_minutes=1)

    with ThreadPoolExecutor(8) as pool:
        late, too_late = list(pool.map(hold, range(customers))), list(pool.map(hold, range(customers)))
        list(pool.map(lambda customer: customer(checkout), IN_TIME * customers))  # list() raises errors
        print("Waiting until the unpaid holds end.", flush=True)
        _wait_for_end_of_holds(checkout)
        list(pool.map(checkout.pay, late))
        _sell_out(checkout)
        list(pool.map(lambda booking: checkout.pay(booking, refused="hold-expired"), too_late))


def _wait_for_end_of_holds(checkout: Checkout) -> None:
    """Wait until the time of all holds is up, whether or not the service has ended them already."""
    held = partial(checkout.service.whole_list, f"/events/{checkout.event_id}/bookings", status="held")
    while any(datetime.fromisoformat(booking["held_until"]) >= checkout.service.now() for booking in held()):
        time.sleep(1)


def _sell_out(checkout: Checkout) -> None:
    """Sell all tickets that are left, including those in expired holds."""
    count = MOST_TICKETS
    while count:
        response = checkout.order(count)
        if response.status_code == HTTPStatus.CONFLICT and response.json()["code"] == "sold-out":
            count = response.json()["tickets_available"]
        else:
            checkout.pay(_successful(response).json())


if __name__ == "__main__":
    sys.exit(main())
