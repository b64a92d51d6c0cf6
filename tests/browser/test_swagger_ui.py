"""Swagger UI in a browser, on desktop and phone screens."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser

from tests.browser.chromium import needs_chromium, running_chromium
from tests.browser.swagger_ui import SwaggerUI
from tests.factories import EVENT, PASSWORD, make_event, make_key, make_organizer, new_email
from tests.service import Service

pytestmark = needs_chromium

# Screen widths in CSS pixels.
DESKTOP, PHONE = 1280, 390

# In milliseconds, for every wait. The machine runs other tests at the same time.
PATIENCE = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def width() -> int:
    """The width of the screen. Tests override it by parametrization."""
    return DESKTOP


@pytest.fixture
def swagger_ui(browser: Browser, service: Service, width: int) -> Iterator[SwaggerUI]:
    is_phone = width == PHONE
    context = browser.new_context(viewport={"width": width, "height": 844}, is_mobile=is_phone, has_touch=is_phone)
    context.set_default_timeout(PATIENCE)
    yield SwaggerUI(context.new_page(), service.url)
    context.close()


@pytest.mark.parametrize("width", [DESKTOP, pytest.param(PHONE, marks=pytest.mark.long)])
def test_users_can_sign_up_create_an_event_book_and_cancel(
    swagger_ui: SwaggerUI, service: Service, width: int, tmp_path: Path
) -> None:
    """Also checks that the console is empty, no other host is contacted and no page is wider than the screen."""

    def execute(operation: str, *, body: Mapping[str, Any] | None = None, **parameters: str) -> tuple[str, Any]:
        response = swagger_ui.execute(operation, body=body, **parameters)
        swagger_ui.page.screenshot(path=tmp_path / f"{operation}.png")
        assert swagger_ui.width == width
        swagger_ui.clear(operation)
        return response

    def sign_up_and_authorize(*, is_organizer: bool) -> None:
        email = new_email()
        account = {"email": email, "password": PASSWORD, "is_organizer": is_organizer}
        assert execute("signup", body=account)[0] == "201"
        swagger_ui.authorize(email, PASSWORD)

    swagger_ui.open("/")
    assert swagger_ui.page.url == f"{service.url}/docs"
    sign_up_and_authorize(is_organizer=True)
    status, event = execute("createEvent", body=EVENT)
    assert (status, event["tickets_available"]) == ("201", EVENT["capacity"])
    swagger_ui.log_out()

    sign_up_and_authorize(is_organizer=False)
    status, booking = execute("createBooking", body={"event_id": event["id"], "ticket_count": 2})
    assert (status, booking["status"], booking["ticket_count"]) == ("201", "confirmed", 2)
    status, booking = execute("cancelBooking", booking_id=booking["id"])
    assert (status, booking["status"]) == ("200", "cancelled")

    assert (swagger_ui.console, swagger_ui.failures, swagger_ui.violations) == ([], [], [])
    assert [address for address in swagger_ui.requests if not address.startswith(f"{service.url}/")] == []


def test_the_dialog_accepts_an_api_key(swagger_ui: SwaggerUI, client: FlaskClient) -> None:
    organizer = make_organizer(client)
    event, key = make_event(client, organizer), make_key(client, organizer)
    order = {"event_id": event["id"], "guest_name": "Grace Hopper", "guest_email": new_email()}
    swagger_ui.open()

    swagger_ui.authorize_with_key(key.token)

    status, booking = swagger_ui.execute("createBooking", body=order)
    assert (status, booking["api_key_id"], booking["guest_name"]) == ("201", key.id, "Grace Hopper")
    assert swagger_ui.failures == []


@pytest.mark.long
@pytest.mark.parametrize("width", [PHONE])
def test_no_operation_is_wider_than_a_phone(swagger_ui: SwaggerUI) -> None:
    swagger_ui.open()

    for operation in swagger_ui.operations():
        swagger_ui.expand(operation)
        assert swagger_ui.width == PHONE, operation
        swagger_ui.collapse(operation)


@pytest.mark.parametrize(
    ("directive", "attack"),
    {
        "script-src-elem": "document.body.append(Object.assign(document.createElement('script'), {text: 'done()'}))",
        "script-src-attr": "document.body.insertAdjacentHTML('beforeend', `<img src='data:,' onerror='done()'>`)",
        "connect-src": "fetch('https://evil.example').then(done)",
    }.items(),
    ids=["element", "handler", "request"],
)
def test_injected_content_neither_runs_scripts_nor_sends_requests(
    swagger_ui: SwaggerUI, directive: str, attack: str
) -> None:
    swagger_ui.open()

    blocked_by = swagger_ui.page.evaluate(f"""() => new Promise(resolve => {{
        addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
        window.done = () => resolve("nothing");
        setTimeout(done, {PATIENCE});
        {attack};
    }})""")

    assert blocked_by == directive


def test_the_browser_stores_neither_password_nor_token(swagger_ui: SwaggerUI, client: FlaskClient) -> None:
    organizer = make_organizer(client)
    swagger_ui.open()

    swagger_ui.authorize(organizer.email, PASSWORD)

    stored = swagger_ui.page.evaluate("[{...localStorage}, {...sessionStorage}, document.cookie]")
    assert stored == [{}, {}, ""]


@pytest.mark.parametrize("setting", ["INVITATION_URL", "PASSWORD_RESET_URL", "VERIFICATION_URL", "EMAIL_CHANGE_URL"])
def test_an_emailed_link_opens_the_operation_that_accepts_its_token(
    swagger_ui: SwaggerUI, application: Flask, setting: str
) -> None:
    link = application.config[setting].removeprefix(application.config["PUBLIC_URL"])

    swagger_ui.open(link)

    assert [swagger_ui.is_expanded(name) for name in swagger_ui.operations()].count(True) == 1
    assert swagger_ui.is_expanded(link.rpartition("/")[2])
