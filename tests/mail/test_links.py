"""Text that people enter never becomes a link in an email, because anyone can have it sent to any address."""

import re
from typing import Any

import pytest

from bookings_api.calendar.itip import invitation
from bookings_api.mail.messages import render
from bookings_api.models import EmailKind
from bookings_api.models.payloads import FREE_TEXT
from tests.mail.composing import ACCOUNT_PAYLOAD, PAYLOAD, row

# Some mail programs, such as those on Android, treat invisible characters as letters.
_LINK = re.compile(r"(?<![\w@.-])[\w-]+[^\s@]*[.\u3002\uff0e\uff61][^\s\d.,;:!?]|\w://", re.IGNORECASE)


def _parts(kind: EmailKind, text: str, *, with_prices: bool = False) -> list[str]:
    """Return everything of an email that shows text, except the link of an invitation or a password reset."""
    entered: dict[str, Any] = dict.fromkeys(FREE_TEXT, text)
    if with_prices:
        items = [{"name": text, "count": 2, "price": 500}]
        entered |= {"items": items, "amount_due": 1000, "currency": "EUR"}
    payload = PAYLOAD | ACCOUNT_PAYLOAD | {"url": "URL"} | entered
    email = render(kind, payload, joined=[payload])
    calendar = invitation(row(kind, **entered), mail_from="tickets@localhost")
    unfolded = calendar[1].decode().replace("\r\n ", "") if calendar else ""
    return [email.subject, email.text, re.sub(r"<[^>]*>", " ", email.html), unfolded]


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/login", "evil.com", "www.evil.com", "WWW.EVIL.COM/login", "evil\u3002com",
        "\uff45vil\uff0ecom", "a.b.evil.co.uk:8080/x?y=z", "evil.\u200bcom", "evil\u2060.com", "(evil.com)",
        "x@y/evil.com", "evil.com@example",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", list(EmailKind), ids=str)
@pytest.mark.parametrize("with_prices", [False, True], ids=["free", "priced"])
def test_text_that_people_enter_contains_no_link(kind: EmailKind, link: str, *, with_prices: bool) -> None:
    assert _LINK.search(f"PayPal Support {link}")
    for part in _parts(kind, f"PayPal Support {link}", with_prices=with_prices):
        assert not _LINK.search(part)


@pytest.mark.parametrize(
    "text",
    ["Concert No.5, 7.30pm", "Dr. Who", "24.12.2026", "Wait... what?", "Tickets, Inc.", "ada@example.com", "AC/DC"],
)  # fmt: skip
def test_text_without_a_link_is_unchanged(text: str) -> None:
    subject, plain, html, calendar = _parts(EmailKind.BOOKING_CONFIRMED, text)

    assert text in subject
    assert text in plain
    assert text in html
    assert text in calendar.replace("\\", "")
