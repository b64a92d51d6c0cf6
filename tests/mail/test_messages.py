"""The text of emails, compared with snapshots."""

from pathlib import Path
from typing import Any

import pytest

from bookings_api.mail.messages import render
from bookings_api.models import EmailKind
from tests.mail.composing import ACCOUNT_PAYLOAD, PAYLOAD

SNAPSHOTS = Path(__file__).with_name("snapshots")

# Values and kinds that releases without prices and waiting lists did not have
NEW_VALUES = {
    "items", "amount_due", "currency", "held_until", "position", "tickets_ahead", "was_waitlisted", "was_confirmed",
}  # fmt: skip
NEW_KINDS = {EmailKind.BOOKING_WAITLISTED, EmailKind.BOOKING_OFFERED, EmailKind.BOOKING_EXPIRED}
OLD_KINDS = [kind for kind in EmailKind if kind.startswith(("booking", "event")) and kind not in NEW_KINDS]


def _rendered(**payload: Any) -> Any:
    return render(EmailKind.BOOKING_CONFIRMED, {**PAYLOAD, **payload})


@pytest.mark.parametrize("kind", list(EmailKind), ids=str)
def test_the_wording_matches_the_snapshot(kind: EmailKind) -> None:
    email = render(kind, PAYLOAD | ACCOUNT_PAYLOAD)

    assert f"{email.subject}\n\n{email.text}" == (SNAPSHOTS / f"{kind}.txt").read_text()
    assert email.html == (SNAPSHOTS / f"{kind}.html").read_text()


@pytest.mark.parametrize("kind", OLD_KINDS, ids=str)
def test_an_email_queued_by_an_earlier_release_can_be_sent(kind: EmailKind) -> None:
    old = {name: value for name, value in PAYLOAD.items() if name not in NEW_VALUES}

    assert render(kind, old, joined=[old]) == render(kind, PAYLOAD, joined=[PAYLOAD])


def test_emails_about_access_mention_logins_only_where_there_is_a_single_organization() -> None:
    account = {"name": "Grace", "role": "user", "is_active": False, "organization": None}

    assert "you can no longer log in" in render(EmailKind.ACCESS_CHANGED, account).text
    assert "Please log in again" in render(EmailKind.ROLE_CHANGED, account).text
    several = account | {"organization": "Chamber Music Society"}
    assert "log in" not in render(EmailKind.ACCESS_CHANGED, several).text
    assert "log in" not in render(EmailKind.ROLE_CHANGED, several).text


def test_times_are_in_the_events_time_zone_and_name_it() -> None:
    email = _rendered(timezone="Asia/Kolkata")

    for part in (email.text, email.html):
        assert "Friday, 19 June 2099, 23:00 (Asia/Kolkata, UTC+05:30)" in part


@pytest.mark.parametrize(
    ("starts_at", "expected"),
    [("2026-10-25T00:30:00+00:00", "02:30 (Europe/Berlin, UTC+02:00)"),
     ("2026-10-25T01:30:00+00:00", "02:30 (Europe/Berlin, UTC+01:00)")],
    ids=["first", "second"],
)  # fmt: skip
def test_a_repeated_hour_is_unambiguous(starts_at: str, expected: str) -> None:
    assert expected in _rendered(starts_at=starts_at).text


@pytest.mark.parametrize(
    ("starts_at", "expected"),
    [("2026-03-29T00:59:00+00:00", "01:59 (Europe/Berlin, UTC+01:00)"),
     ("2026-03-29T01:00:00+00:00", "03:00 (Europe/Berlin, UTC+02:00)")],
    ids=["before", "after"],
)  # fmt: skip
def test_a_skipped_hour_is_never_shown(starts_at: str, expected: str) -> None:
    assert expected in _rendered(starts_at=starts_at).text


def test_a_title_cannot_inject_markup_into_the_html_part() -> None:
    email = _rendered(event_title="<script>alert('x')</script> & more")

    assert "<script>" not in email.html
    assert "&lt;script&gt;" in email.html
    assert "<script>alert('x')</script> & more" in email.text
    assert email.subject.endswith("<script>alert('x')</script> & more")


@pytest.mark.parametrize(
    "line_end", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\x00", "\x1b"]
)
def test_a_subject_is_one_line_whatever_the_title_contains(line_end: str) -> None:
    email = _rendered(event_title=f"Concert{line_end}Bcc: everybody@example.com")

    assert email.subject == "Your booking K7M3PTW9XA is confirmed: Concert Bcc: everybody@example.com"
