"""Compares the payments and bookings of an event with what a checkout page has collected."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Expected:
    """What a checkout page expects to find in the service.

    `collected` contains the amount and currency of each payment, and `refunds` the amount to refund, by reference.
    `confirmed` contains the number of tickets of each confirmed booking. `problems` lists unexpected responses.
    """

    collected: dict[str, tuple[int, str]] = field(default_factory=dict)
    refunds: dict[str, int] = field(default_factory=dict)
    confirmed: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def collect(self, reference: str, amount: int, currency: str) -> None:
        """Remember a payment."""
        self.collected[reference] = amount, currency

    def refund(self, reference: str, amount: int | None = None) -> None:
        """Remember that a payment must be refunded, fully by default."""
        self.refunds[reference] = self.collected[reference][0] if amount is None else amount


def differences(
    expected: Expected, *, payments: Sequence[Json], refunds: Sequence[Json], bookings: Sequence[Json], capacity: Json
) -> list[str]:
    """Return a line for each difference. The list is empty if money and tickets agree.

    `refunds` are the payments that the service lists as due for a refund.
    """
    confirmed = {one["id"]: one["ticket_count"] for one in bookings if one["status"] == "confirmed"}
    recorded = {one["reference"]: (one["amount"], one["currency"]) for one in payments}
    due = {one["reference"]: one["amount_to_refund"] for one in refunds}
    with_refund = {one["booking_id"]: True for one in refunds}
    marked = {one["id"]: True for one in bookings if one["refund_due"]}
    tickets = {"tickets_booked": sum(confirmed.values()), "tickets_held": 0}
    return [
        *expected.problems,
        *_compare("payment", expected.collected, recorded),
        *_compare("refund of payment", expected.refunds, due),
        *_compare("refund_due of booking", with_refund, marked),
        *_compare("tickets of confirmed booking", expected.confirmed, confirmed),
        *_compare("event's", tickets, {name: capacity[name] for name in tickets}),
        *_compare_totals(payments, bookings),
    ]


def summary(payments: Sequence[Json], bookings: Sequence[Json]) -> str:
    """Return a table of the outcomes of payments, the statuses of bookings, and the sums of money."""
    received, price, refunds = _totals(payments, bookings)
    rows = {
        "payments": _counts(one["refusal"] or "accepted" for one in payments),
        "bookings": _counts(one["status"] for one in bookings),
        "received": _amounts(received),
        "tickets sold": _amounts(price),
        "refunds due": _amounts(refunds),
    }
    return "\n".join(f"{title:<14}{text}" for title, text in rows.items())


def _counts(values: Iterable[str]) -> str:
    return ", ".join(f"{count} {value}" for value, count in sorted(Counter(values).items()))


def _amounts(totals: Counter[str]) -> str:
    return ", ".join(f"{currency} {amount / 100:,.2f}" for currency, amount in sorted(totals.items()))


def _compare(name: str, expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for key in sorted(expected.keys() | found.keys()):
        if (before := expected.get(key, "missing")) != (after := found.get(key, "missing")):
            yield f"{name} {key}: expected {before}, found {after}"


def _totals(payments: Sequence[Json], bookings: Sequence[Json]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Return the money received, the price of the confirmed tickets, and the refunds due, by currency."""
    received, price, refunds = Counter[str](), Counter[str](), Counter[str]()
    for payment in payments:
        received[payment["currency"]] += payment["amount"]
        refunds[payment["currency"]] += payment["amount_to_refund"]
    for booking in bookings:
        if booking["status"] == "confirmed":
            price[booking["currency"]] += booking["amount_due"]
    return received, price, refunds


def _compare_totals(payments: Sequence[Json], bookings: Sequence[Json]) -> Iterator[str]:
    received, price, refunds = _totals(payments, bookings)
    if received != price + refunds:
        yield f"received {dict(received)}, but tickets cost {dict(price)} and refunds are {dict(refunds)}"
