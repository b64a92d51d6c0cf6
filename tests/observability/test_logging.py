"""What the running service logs, and what must never appear in its log."""

import time

import httpx
from flask.testing import FlaskClient

from tests.factories import PASSWORD, make_event, make_user, new_email
from tests.http_client import http_client
from tests.mailbox import Mailbox
from tests.service import Service


def test_each_request_is_one_json_line(client: FlaskClient, service: Service) -> None:
    user, event = make_user(client), make_event(client)

    response = httpx.get(f"{service.api}/events/{event['id']}?page=1", headers=dict(user.headers))

    request_id = response.headers["X-Request-ID"]
    (line,) = [line for line in service.log_lines() if line["request_id"] == request_id]
    assert line["method"] == "GET"
    assert line["route"] == "/api/v1/events/<uuid:event_id>"
    assert line["status"] == 200
    assert line["user_id"] == user.id
    assert 0 < line["duration_ms"] < 10_000
    assert line["level"] == "INFO"
    assert line["time"].endswith("+00:00")


def test_anonymous_request_to_an_unknown_url_is_logged(service: Service) -> None:
    response = httpx.get(f"{service.url}/nowhere")

    (line,) = [line for line in service.log_lines() if line["request_id"] == response.headers["X-Request-ID"]]
    assert (line["route"], line["status"], line["user_id"]) == (None, 404, None)


def test_log_contains_no_password_token_address_or_email(
    client: FlaskClient, service: Service, mailbox: Mailbox
) -> None:
    event, email = make_event(client), new_email()
    with http_client(service.api) as http:
        http.post("/auth/signup", json={"email": email, "password": PASSWORD, "name": "Ada Lovelace"})
        http.post("/auth/login", json={"email": email, "password": "a wrong password"})
        token = http.post("/auth/login", json={"email": email, "password": PASSWORD}).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        http.post("/bookings/", json={"event_id": event["id"]}, headers=headers)
        http.get("/bookings/", params={"page": token}, headers=headers)
    (email_message,) = mailbox.wait_for(email)
    time.sleep(0.2)  # the worker logs its last line after sending the email

    logged = "".join(str(line) for line in service.log_lines())

    assert str(email_message["Message-ID"]).split("@")[0].strip("<") in logged
    for secret in (PASSWORD, "a wrong password", token, token.split(".")[2], email, "Ada Lovelace", event["title"]):
        assert secret not in logged
