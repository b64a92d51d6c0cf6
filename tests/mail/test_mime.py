"""The MIME message of an email, as sent and as parsed by a mail program."""

import re
from email.message import EmailMessage
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask_mail import Message

from bookings_api.mail.messages import RenderedEmail, render
from bookings_api.mail.mime import UnusableAddress, compose
from bookings_api.mail.smtp import MailSender
from bookings_api.models import EmailKind
from tests.factories import new_email
from tests.mail.composing import composed, received, row
from tests.mailbox import Mailbox, part

EMOJI = "\N{PARTY POPPER}"
LINE_ENDS = ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]

pytestmark = pytest.mark.usefixtures("context")


@pytest.mark.parametrize("kind", list(EmailKind), ids=str)
@pytest.mark.parametrize("character", [EMOJI, "漢", "ü", "x", " x", "=", "."])
def test_every_line_is_ascii_and_short(kind: EmailKind, character: str) -> None:
    title, name = (character * 200)[:200].strip(), (character * 254)[:254].strip()
    email = row(
        kind, event_title=title, location=title, guest_name=name, name=name, invited_by=name, contact_name=name[:100]
    )

    raw = composed(email)

    assert raw.isascii()
    limit = 998 if character.isascii() else 78  # RFC 5322, section 2.1.1: what must be, and what should
    assert max(len(line) for line in raw.split(b"\r\n")) <= limit
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    message, rendered = received(raw), render(kind, email.payload)
    assert message["Subject"] == rendered.subject
    assert part(message, "plain") == rendered.text
    assert part(message, "html") == rendered.html


def test_a_text_with_long_or_non_ascii_lines_is_encoded() -> None:
    for text in ("x" * 999, "bell\x07", "ü", "\x85", "From here\n.\n..\n=3D \n" + "x" * 999):
        raw = compose(row(), RenderedEmail(subject="x", text=text, html="")).as_bytes()

        assert raw.isascii()
        assert max(len(line) for line in raw.split(b"\r\n")) <= 78
        assert received(raw).get_body(("plain",)).get_payload(decode=True) == text.encode().replace(b"\n", b"\r\n")


def test_a_link_can_be_copied_from_a_stored_email() -> None:
    assert b"\r\n  https://example.com/accept?token=THE-TOKEN\r\n" in composed(row(EmailKind.INVITATION))


@pytest.mark.parametrize(
    "title",
    ["=?utf-8?q?x?=", "a =?utf-8?b?w7w=?= b", "=?", "?=", "Füße =?iso-8859-1?q?=FC?=", "a  b", "50 % = half_way"],
)
def test_a_subject_is_shown_as_typed(title: str) -> None:
    rendered = RenderedEmail(subject=title, text="", html="")

    message = received(compose(row(), rendered).as_bytes())

    assert message["Subject"] == title


def test_a_plain_subject_is_not_encoded() -> None:
    assert b"\r\nSubject: Your booking K7M3PTW9XA is confirmed: An Evening of Chamber Music\r\n" in composed(row())


@pytest.mark.parametrize("line_end", LINE_ENDS, ids=ascii)
def test_a_line_end_in_a_title_injects_no_header(line_end: str) -> None:
    injected = f"Concert{line_end}Bcc: eve@example.com{line_end}{line_end}<b>"

    message = received(composed(row(event_title=injected, guest_name=injected, contact_name=injected)))

    assert message["Subject"] == "Your booking K7M3PTW9XA is confirmed: Concert Bcc: eve@example.com <b>"
    assert message.keys() == received(composed(row())).keys()


@pytest.mark.parametrize("line_end", [*LINE_ENDS, "\x00", " "], ids=ascii)
def test_a_recipient_with_a_line_end_is_rejected(line_end: str) -> None:
    with pytest.raises(UnusableAddress):
        composed(row(recipient=f"grace@example.com{line_end}Bcc:eve@example.com"))


@pytest.mark.parametrize(
    "recipient",
    ["a@example.com, b@example.com", "Grace <a@example.com>", "jürgen@exa mple.com", "a\xa0b@example.com", "grace", ""],
)
def test_a_recipient_must_be_one_plain_address(recipient: str) -> None:
    with pytest.raises(UnusableAddress):
        composed(row(recipient=recipient))


@pytest.mark.parametrize(
    ("mail_from", "name", "address"),
    [
        ("Event Booking <t@example.com>", "Event Booking", "t@example.com"),
        ("t@example.com", "", "t@example.com"),
        ('"Tickets, Inc." <t@example.com>', "Tickets, Inc.", "t@example.com"),
        ('"The: \\"Best\\" <b@example.org>; \\\\" <t@example.com>', 'The: "Best" <b@example.org>; \\', "t@example.com"),
        ("Füße & Co <t@example.com>", "Füße & Co", "t@example.com"),
        ("=?utf-8?q?x?= <t@example.com>", "=?utf-8?q?x?=", "t@example.com"),
        (f"{EMOJI * 10} <t@example.com>", EMOJI * 10, "t@example.com"),
        ("Tickets <o'hara+t@example.com>", "Tickets", "o'hara+t@example.com"),
    ],
)  # fmt: skip
def test_the_sender_arrives_as_configured(
    app: Flask, monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox, mail_from: str, name: str, address: str
) -> None:
    monkeypatch.setitem(app.config, "MAIL_FROM", mail_from)
    email = row(recipient=new_email())

    with MailSender() as sender:
        sender.send(compose(email, render(email.kind, email.payload)))

    (message,) = mailbox.wait_for(email.recipient)
    (sender,) = message["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (name, address)
    assert (message["X-MailFrom"], message["X-RcptTo"]) == (address, email.recipient)


@pytest.mark.parametrize("line_end", LINE_ENDS, ids=ascii)
def test_a_line_end_in_the_senders_name_injects_no_header(
    app: Flask, monkeypatch: pytest.MonkeyPatch, line_end: str
) -> None:
    monkeypatch.setitem(app.config, "MAIL_FROM", f'"Tickets{line_end}Bcc: eve@example.com" <t@example.com>')

    message = received(composed(row()))

    assert message["Bcc"] is None
    assert message["From"].addresses[0].addr_spec == "t@example.com"


def test_an_email_has_a_date_and_is_marked_as_automatic() -> None:
    message = compose(row(), render(EmailKind.EVENT_REMINDER, row().payload))

    read = received(message.as_bytes())

    assert (read["Auto-Submitted"], read["X-Auto-Response-Suppress"]) == ("auto-generated", "All")
    assert read["Date"].datetime is not None
    assert read["Message-ID"] == "<1@example.com>"


@pytest.mark.parametrize("name", ["Olivia Organizer", 'Füße: "Tickets", Inc.', "漢" * 100, None])
def test_a_reply_goes_to_the_contact(name: str | None) -> None:
    message = received(composed(row(contact_name=name)))

    assert message["Reply-To"] == "concerts@example.com"
    for kind in ("plain", "html"):
        shown = f"{name} (concerts@example.com)" if name else "concerts@example.com"
        assert shown in unescape(part(message, kind))


@pytest.mark.parametrize("name", ["Olivia Organizer", None])
def test_without_the_contacts_address_there_is_no_reply_to(name: str | None) -> None:
    message = received(composed(row(contact_name=name, contact_email=None)))

    assert "Reply-To" not in message
    for kind in ("plain", "html"):
        assert ("Olivia Organizer" in part(message, kind)) == ("Contact" in part(message, kind)) == bool(name)


@pytest.mark.parametrize("name", ["Grace Hopper", "Füße 漢"])
@pytest.mark.parametrize("kind", list(EmailKind), ids=str)
def test_the_message_is_equivalent_to_the_one_flask_mail_would_send(kind: EmailKind, name: str) -> None:
    email = row(kind, guest_name=name, name=name)
    message = compose(email, render(kind, email.payload))
    message.date = 0

    ours, theirs = received(message.as_bytes()), received(Message.as_bytes(message))

    assert _headers(ours) == _headers(theirs)
    assert _parts(ours) == _parts(theirs)


def _headers(message: EmailMessage) -> set[tuple[str, str]]:
    """Return all headers except those that differ on purpose: the boundary and the encoded sender."""
    return {(name, str(value)) for name, value in message.items() if name not in {"Content-Type", "From"}}


def _parts(message: EmailMessage) -> list[Any]:
    return [
        (
            part.get_content_type(),
            part.get_content_disposition(),
            part.get_filename(),
            part.get_param("method"),
            None if part.is_multipart() else str(part.get_content()).replace("\r\n", "\n"),
        )
        for part in message.walk()
    ]
