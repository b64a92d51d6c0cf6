"""The wording of mails, held against stored texts."""

from pathlib import Path
from typing import Any

import pytest

from bookings_api.mail.messages import render
from bookings_api.models import EmailKind
from tests.mail.composing import ACCOUNT_FACTS, PAYLOAD

SNAPSHOTS = Path(__file__).with_name("snapshots")


def _mail(**payload: Any) -> Any:
    return render(EmailKind.BOOKING_CONFIRMED, {**PAYLOAD, **payload})


@pytest.mark.parametrize("kind", list(EmailKind), ids=str)
def test_the_wording_is_the_stored_one(kind: EmailKind) -> None:
    mail = render(kind, PAYLOAD | ACCOUNT_FACTS)

    assert f"{mail.subject}\n\n{mail.text}" == (SNAPSHOTS / f"{kind}.txt").read_text()
    assert mail.html == (SNAPSHOTS / f"{kind}.html").read_text()


def test_times_are_told_in_the_events_own_zone_with_its_name() -> None:
    mail = _mail(timezone="Asia/Kolkata")

    for part in (mail.text, mail.html):
        assert "Friday, 19 June 2099, 23:00 (Asia/Kolkata, UTC+05:30)" in part


@pytest.mark.parametrize(
    ("starts_at", "expected"),
    [("2026-10-25T00:30:00+00:00", "02:30 (Europe/Berlin, UTC+02:00)"),
     ("2026-10-25T01:30:00+00:00", "02:30 (Europe/Berlin, UTC+01:00)")],
    ids=["first", "second"],
)  # fmt: skip
def test_the_hour_that_comes_twice_is_told_apart(starts_at: str, expected: str) -> None:
    assert expected in _mail(starts_at=starts_at).text


@pytest.mark.parametrize(
    ("starts_at", "expected"),
    [("2026-03-29T00:59:00+00:00", "01:59 (Europe/Berlin, UTC+01:00)"),
     ("2026-03-29T01:00:00+00:00", "03:00 (Europe/Berlin, UTC+02:00)")],
    ids=["before", "after"],
)  # fmt: skip
def test_the_hour_that_never_comes_is_passed_over(starts_at: str, expected: str) -> None:
    assert expected in _mail(starts_at=starts_at).text


def test_a_title_cannot_put_markup_into_the_html_part() -> None:
    mail = _mail(event_title="<script>alert('x')</script> & more")

    assert "<script>" not in mail.html
    assert "&lt;script&gt;" in mail.html
    assert "<script>alert('x')</script> & more" in mail.text
    assert mail.subject.endswith("<script>alert('x')</script> & more")


@pytest.mark.parametrize(
    "line_end", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\x00", "\x1b"]
)
def test_a_subject_is_one_line_whatever_the_title_holds(line_end: str) -> None:
    mail = _mail(event_title=f"Concert{line_end}Bcc: everybody@example.com")

    assert mail.subject == "Your booking K7M3PTW9XA is confirmed: Concert Bcc: everybody@example.com"
