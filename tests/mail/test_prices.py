"""Prices in emails."""

import re

import pytest

from bookings_api.mail.messages import render
from bookings_api.mail.prices import format_price
from bookings_api.models import EmailKind
from tests.mail.composing import PAYLOAD, PRICED

WITH_DETAILS = [kind for kind in EmailKind if kind.startswith(("booking", "event")) and kind != "booking_reassigned"]


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (123_450, "EUR", "€1,234.50"),
        (5, "USD", "$0.05"),
        (1_500, "JPY", "¥1,500"),
        (12_500, "IQD", "IQD\xa012.500"),  # Babel has no digits for dinars
        (2_000, "CHF", "CHF\xa020.00"),
        (2_000, "HRK", "HRK\xa020.00"),  # withdrawn in 2023
    ],
)
def test_prices_have_the_digits_of_the_currency(amount: int, currency: str, expected: str) -> None:
    assert format_price(amount, currency) == expected


@pytest.mark.parametrize("kind", WITH_DETAILS, ids=str)
def test_details_list_each_type_with_its_price_and_the_total(kind: EmailKind) -> None:
    email = render(kind, PAYLOAD | PRICED)

    for part in (email.text, re.sub(r"<[^>]*>", " ", email.html)):
        words = " ".join(part.split())
        assert re.search(r"Tickets:? 2 Balcony at €30.00 1 Front row at €45.50 Total:? €105.50 Guest", words)


def test_prices_are_aligned_in_text() -> None:
    assert (
        "  Tickets:    2 Balcony at €30.00\n"
        "              1 Front row at €45.50\n"
        "  Total:      €105.50\n"
    ) in render(EmailKind.BOOKING_CONFIRMED, PAYLOAD | PRICED).text  # fmt: skip


def test_a_free_booking_shows_no_prices() -> None:
    free = PRICED | {"items": [item | {"price": 0} for item in PRICED["items"]], "amount_due": 0}

    email = render(EmailKind.BOOKING_CONFIRMED, PAYLOAD | free)

    assert "Tickets:    2 Balcony, 1 Front row\n" in email.text
    for part in (email.text, email.html):
        assert "Total" not in part
        assert "€" not in part


def test_a_notice_lists_the_prices_of_each_booking() -> None:
    other = PRICED | {"items": [{"name": "Balcony", "count": 1, "price": 2}], "amount_due": 2, "currency": "JPY"}

    email = render(EmailKind.EVENT_CHANGED, PAYLOAD | PRICED, joined=[PAYLOAD | other, PAYLOAD])

    for part in (email.text, email.html):
        assert part.count("Total") == 2
        assert "1 Balcony at ¥2" in part
