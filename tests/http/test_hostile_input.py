"""Input crafted to crash the service or to be read differently by other programs."""

import io
import json
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import API, EVENT, PASSWORD, book, make_account, make_event, make_organizer, make_user, new_email

SIGNUP = f"{API}/auth/signup"

# Each breaks PostgreSQL, JSON or a terminal; \ud800 is sent as a JSON escape.
BAD_TEXTS = [
    "nul \x00",
    "half \ud800",
    "other half \udfff",
    "right \u202eto left",
    "isolate \u2066",
    "esc \x1b",
    "\x85",
]


def _post(client: FlaskClient, body: bytes, **options: Any) -> Any:
    return client.post(SIGNUP, data=body, **{"content_type": "application/json", **options})


def _wrong(response: Any, place: str = "body") -> list[str]:
    """Fields named by a 422 response."""
    assert (response.status_code, response.content_type) == (422, "application/problem+json"), response.text
    assert {error["in"] for error in response.json["errors"]} == {place}
    return [error["field"] for error in response.json["errors"]]


@pytest.mark.parametrize("text", BAD_TEXTS, ids=ascii)
def test_a_forbidden_character_is_refused_in_every_field(client: FlaskClient, text: str) -> None:
    organizer, user = make_organizer(client), make_user(client)
    event = make_event(client, organizer)

    for field in ("title", "description", "location", "timezone", "starts_at"):
        changes = {field: text}
        assert _wrong(client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json=changes)) == [field]
    for field in ("guest_name", "guest_email", "event_id"):
        assert _wrong(book(client, user, event, **{field: text})) == [field]
    for field in ("email", "password"):
        credentials = {"email": new_email(), "password": PASSWORD, field: text}
        assert _wrong(client.post(f"{API}/auth/login", json=credentials)) == [field]
    token = {"token": text, "password": PASSWORD}
    assert _wrong(client.post(f"{API}/auth/password-reset/confirm", json=token)) == ["token"]
    assert _wrong(client.post(SIGNUP, json={"email": new_email(), "password": PASSWORD, text: 1})) == [text]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (f"page={2**63}", "page"), (f"page={'9' * 3000}", "page"), ("page=1_000", "page"), ("page=٣", "page"),
        ("page=+1", "page"), ("page=1.0", "page"), ("page=%201", "page"), ("page=0x1", "page"), ("page=", "page"),
        (f"page_size={2**31}", "page_size"), (f"min_available={2**63}", "min_available"), ("nonsense=1", "nonsense"),
        ("starts_after=9999-12-31T23:59:59-12:00", "starts_after"),
        ("starts_after=2099-06-19T19:30:00", "starts_after"),
        ("starts_before=0001-01-01T00:00:00%2B14:00", "starts_before"), ("q=%00", "q"), ("q=%E2%80%AE", "q"),
        ("organizer_id=1%00", "organizer_id"), ("sort=title;drop", "sort"),
    ],
)  # fmt: skip
def test_an_invalid_query_parameter_is_named(client: FlaskClient, query: str, field: str) -> None:
    assert _wrong(client.get(f"{API}/events/all?{query}"), "query") == [field]


@pytest.mark.parametrize(
    "address",
    [
        f"{'a' * 65}@example.com", f"a@{'b' * 64}.com", f"a@{'b.' * 126}com", "a\u200bda@example.com",
        "ada@exam\u200bple.com", "\u202eada@example.com", "\u0430da@example.com", "ada\uff20example.com",
        "ada@example.com\nbcc: eve@example.com", "ada@[127.0.0.1]", "Ada <ada@example.com>",
        "ada@example.com,eve@example.com", "=?utf-8?q?ada?=@example.com", '"ada"@example.com', "ada@-.com",
    ],
    ids=ascii,
)  # fmt: skip
def test_an_address_that_smtp_cannot_deliver_to_is_refused(client: FlaskClient, address: str) -> None:
    assert _wrong(client.post(SIGNUP, json={"email": address, "password": PASSWORD})) == ["email"]


def test_an_address_that_would_be_shown_as_a_link_is_refused(client: FlaskClient) -> None:
    """Emails to guests show the address of the account that booked."""
    signup = {"email": "www.evil.example/login@example.com", "password": PASSWORD}

    assert _wrong(client.post(SIGNUP, json=signup)) == ["email"]


def test_a_local_part_can_have_64_characters(client: FlaskClient) -> None:
    """RFC 5321, section 4.5.3.1.1."""
    address = f"{'a' * 64}@example.com"

    assert client.post(SIGNUP, json={"email": address, "password": PASSWORD}).json["email"] == address


def test_a_homograph_domain_is_stored_as_punycode(client: FlaskClient) -> None:
    """A Cyrillic a among Latin letters is shown in its DNS form (RFC 5891), which looks different."""
    created = client.post(SIGNUP, json={"email": "ada@ex\u0430mple.com", "password": PASSWORD})

    assert created.json["email"] == "ada@xn--exmple-4nf.com"


@pytest.mark.parametrize(
    "name",
    [
        "https://evil.example/login", "HTTP://EVIL.EXAMPLE", "Ada https://evil.example", "ftp://evil.example",
        "www.evil.example", "Ada WWW.EVIL.EXAMPLE", "://", "Ada\nLovelace", "Ada\u2028Lovelace",
        "\uff57\uff57\uff57\uff0eevil.example", "https\uff1a\uff0f\uff0fevil.example", "www\u3002evil.example",
        "w\u00adw\u200bw\u2060.evil.example",
        "http:\ufe0f/\u034f/evil.example", "\U0001d430\U0001d430\U0001d430.evil.example",
    ],
    ids=ascii,
)  # fmt: skip
def test_text_that_is_emailed_to_strangers_contains_no_link_or_line_break(client: FlaskClient, name: str) -> None:
    user = make_user(client)
    organizer = make_organizer(client)
    event = make_event(client, organizer)

    for field in ("title", "location", "contact_name"):
        created = client.post(f"{API}/events/", headers=organizer.headers, json={**EVENT, field: name})
        changed = client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={field: name})
        assert (_wrong(created), _wrong(changed)) == ([field], [field])

    assert _wrong(book(client, user, make_event(client), guest_name=name)) == ["guest_name"]
    assert _wrong(client.patch(f"{API}/users/me", headers=user.headers, json={"name": name})) == ["name"]
    assert _wrong(client.post(SIGNUP, json={"email": new_email(), "password": PASSWORD, "name": name})) == ["name"]


@pytest.mark.parametrize(
    "name",
    [
        "J.R.R. Tolkien", "J.R.R.Tolkien", "J.Smith", "J.SMITH", "J.-P.Sartre", "Dr. Ada Lovelace", "Dr.Strange",
        "Dr.med. Ada Lovelace", "Mag.a Grace Hopper", "Example S.p.A.", "Mr.Smith", "C.H.Müller",
        "Prof.Dr.Müller", "Ada Ph.D.", "M.D.", "Smith, Jr.", "Ada/Grace", "St. John: two",
        "S:t Clair", "Д.Д.Шостакович", "د.أحمد", "डॉ.राम", "எம்.ஜி.ஆர்", "ดร.สมชาย ใจดี", "J.K.ローリング",
        "山田太郎", "김민수", "ada.lovelace@example.com",
    ],
)  # fmt: skip
def test_name_in_any_script_may_contain_full_stops(client: FlaskClient, name: str) -> None:
    assert client.patch(f"{API}/users/me", headers=make_user(client).headers, json={"name": name}).json["name"] == name


def test_the_address_shown_for_a_guest_without_a_name_is_accepted_as_a_name(client: FlaskClient) -> None:
    user = make_account(client, name=None)
    booking = book(client, user, make_event(client)).json

    assert booking["guest_name"] == user.email
    change = {"guest_name": booking["guest_name"], "ticket_count": 2}
    path = f"{API}/bookings/{booking['id']}"
    assert client.patch(path, headers=user.headers, json=change).json["guest_name"] == user.email


def test_an_event_description_can_contain_a_link(client: FlaskClient) -> None:
    description = "Programme: https://example.com/programme"

    assert make_event(client, description=description)["description"] == description


def test_many_combining_marks_are_refused_quickly(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    pile = "a" + "\u0301\u0316" * 19_000
    started = time.monotonic()

    for field in ("title", "description"):
        event = json.dumps({**EVENT, field: pile}, ensure_ascii=False).encode()
        created = client.post(f"{API}/events/", headers=organizer.headers, data=event, content_type="application/json")
        assert _wrong(created) == [field]

    assert time.monotonic() - started < 1  # normalizing them takes seconds


def test_an_object_with_too_many_members_returns_400(client: FlaskClient) -> None:
    names = [f"name{number}" for number in range(10_000)]  # each would cost work and add an error to the response
    members = ", ".join(f'"{name}": 0' for name in [*names, names[-1]])

    for response in (
        _post(client, f"{{{members}}}".encode()),
        client.post(f"{API}/auth/token", data=dict.fromkeys(names, "0")),
    ):
        assert (response.status_code, response.json["code"]) == (400, "bad-request")
        assert "more than 100" in response.json["detail"]


@pytest.mark.parametrize("digits", ["1e400", "9" * 4000, "-0.0", "1e-400", "1" + "0" * 300])
def test_an_extreme_number_returns_422(client: FlaskClient, digits: str) -> None:
    body = json.dumps(dict(EVENT)).replace('"capacity": 10', f'"capacity": {digits}').encode()
    headers = {**make_organizer(client).headers, "Content-Type": "application/json"}

    assert _wrong(client.post(f"{API}/events/", headers=headers, data=body)) == ["capacity"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "nonsense"])
def test_a_compressed_body_returns_415(client: FlaskClient, encoding: str) -> None:
    response = _post(client, b"{}", headers={"Content-Encoding": encoding})

    assert (response.status_code, response.json["code"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("charset", "status"),
    [("utf-8", 422), ("UTF-8", 422), ("utf8", 422), ("UTF8", 422), ("latin-1", 415), ("utf-7", 415), ("utf-16", 415)],
)
def test_json_must_be_utf_8(client: FlaskClient, charset: str, status: int) -> None:
    assert _post(client, b"{}", content_type=f"application/json; charset={charset}").status_code == status


def test_an_uploaded_file_is_not_accepted_as_a_form_field(client: FlaskClient) -> None:
    form = {"username": new_email(), "password": (io.BytesIO(PASSWORD.encode()), "password.txt")}

    response = client.post(f"{API}/auth/token", data=form, content_type="multipart/form-data")

    assert _wrong(response) == ["password"]


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_multipart_form_without_parts_returns_the_required_fields(client: FlaskClient, content_type: str) -> None:
    response = client.post(f"{API}/auth/token", data=b"nonsense", content_type=content_type)

    assert sorted(_wrong(response)) == ["password", "username"]


def test_a_form_must_be_utf_8(client: FlaskClient) -> None:
    form = b"username=ada%40example.com&password=correct%ffhorse"

    response = client.post(f"{API}/auth/token", data=form, content_type="application/x-www-form-urlencoded")

    assert (response.status_code, response.json["code"]) == (400, "bad-request")


def test_a_change_without_a_body_returns_422(client: FlaskClient) -> None:
    assert _wrong(client.patch(f"{API}/users/me", headers=make_user(client).headers)) == [""]
