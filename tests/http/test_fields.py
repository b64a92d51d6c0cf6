"""What each type of field takes, and what it refuses with the field's name."""

import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from bookings_api.http.fields import TimeZone
from tests.factories import API, EVENT, book, make_event, make_organizer, make_user

INVISIBLE = ["\u200b", "\u200d\u200c", "\u2060 \ufeff", "\u3000\u2003", "\u00ad", "\ue000"]


def _create(client: FlaskClient, **fields: Any) -> Any:
    return client.post(f"{API}/events/", headers=make_organizer(client).headers, json={**EVENT, **fields})


def _wrong(response: Any) -> list[str]:
    assert response.status_code == 422, response.text
    return [error["field"] for error in response.json["errors"]]


@pytest.mark.parametrize("title", INVISIBLE, ids=ascii)
def test_a_text_that_nobody_can_see_is_refused(client: FlaskClient, title: str) -> None:
    assert _wrong(_create(client, title=title)) == ["title"]


@pytest.mark.parametrize("title", ["می‌خواهم", "👩‍👩‍👧‍👦", "क्‍ष", "M\u00fcller", "x"], ids=ascii)
def test_a_text_may_hold_joiners_where_its_script_needs_them(client: FlaskClient, title: str) -> None:
    assert _create(client, title=title).json["title"] == title


@pytest.mark.parametrize(
    "moment",
    [
        "2099-W25-5T19:30:00+02:00", "20990619T193000+0200", "2099-06-19 19:30:00+02:00", "2099-06-19T19:30+02:00",
        "2099-06-19T19:30:00", "2099-06-19", "2099-06-19T19:30:00+02", "2099-06-19T19:30:00,5Z", "٢٠٩٩-06-19T19:30:00Z",
        "2099-06-31T19:30:00Z", "2099-06-19T24:00:00Z", "+2099-06-19T19:30:00Z", " 2099-06-19T19:30:00Z", 4084112400,
    ],
    ids=ascii,
)  # fmt: skip
def test_a_moment_that_is_not_rfc_3339_is_refused(client: FlaskClient, moment: Any) -> None:
    assert _wrong(_create(client, starts_at=moment, ends_at="2099-07-19T22:00:00Z")) == ["starts_at"]


@pytest.mark.parametrize(
    "moment",
    ["2099-06-19T17:30:00Z", "2099-06-19t17:30:00z", "2099-06-19T17:30:00.000+00:00", "2099-06-19T19:30:00+02:00"],
)
def test_a_moment_may_be_written_in_each_way_of_rfc_3339(client: FlaskClient, moment: str) -> None:
    assert _create(client, starts_at=moment).json["starts_at"] == "2099-06-19T17:30:00+00:00"


@pytest.mark.parametrize("form", ["urn:uuid:{}", "{{{}}}", "no-dashes", "upper"])
def test_an_id_is_a_uuid_in_its_usual_form(client: FlaskClient, form: str) -> None:
    event, user = make_event(client), make_user(client)
    plain = event["id"]
    written = {"no-dashes": plain.replace("-", ""), "upper": plain.upper()}.get(form, form.format(plain))

    response = client.post(f"{API}/bookings/", headers=user.headers, json={"event_id": written})

    if form == "upper":
        assert response.status_code == 201
    else:
        assert _wrong(response) == ["event_id"]
    assert book(client, user, event).status_code == 201


def test_a_time_zone_is_checked_without_a_look_at_the_file_system() -> None:
    field = TimeZone()
    began = time.process_time()
    for _ in range(500):
        field.deserialize("Europe/Berlin")

    assert time.process_time() - began < 1  # looking each time takes several seconds
