"""Traces: what a collector gets of the running service, and what it never does."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bookings_api.local_stack.processes import ROOT
from config import Config, ConfigError
from tests.conftest import FIXED_SETTINGS, NO_ENV_FILE
from tests.factories import PASSWORD, Account, make_event, make_user, new_email
from tests.mailbox import Mailbox
from tests.polling import wait_until
from tests.service import Service, running_server, running_service

# A trace that the request belongs to already (W3C Trace Context).
OF_CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """Takes traces by OTLP over HTTP, and keeps all that it got."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                collector.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def settings(self) -> dict[str, str]:
        """Of a service that sends to this collector, at once."""
        endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        return {"TELEMETRY": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def spans(self) -> list[Span]:
        return [
            span
            for body in list(self.bodies)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def wait_for(self, what: Callable[[Span], bool]) -> Span:
        wait_until(lambda: any(map(what, self.spans())), seconds=20)
        return next(filter(what, self.spans()))


@contextmanager
def _listening() -> Iterator[Collector]:
    collector = Collector()
    thread = Thread(target=collector.server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        thread.join()
        collector.server.server_close()


def _attributes(span: Span) -> dict[str, Any]:
    return {entry.key: entry.value.string_value or entry.value.int_value for entry in span.attributes}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with _listening() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(
    settings: dict[str, str], collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    with running_service(
        {**settings, **collector.settings(), "TRUSTED_PROXIES": "1"}, tmp_path_factory.mktemp("traced")
    ) as service:
        yield service


def _of_request(answer: httpx.Response) -> Callable[[Span], bool]:
    return lambda span: _attributes(span).get("bookings.request_id") == answer.headers["X-Request-ID"]


def _order(service: Service, client: FlaskClient) -> tuple[Account, httpx.Response]:
    user, event = make_user(client), make_event(client)
    body = {"event_id": event["id"]}
    return user, httpx.post(f"{service.api}/bookings/", json=body, headers=dict(user.headers))


def test_a_request_and_its_statements_are_one_trace(traced: Service, collector: Collector, client: FlaskClient) -> None:
    _, answer = _order(traced, client)

    request = collector.wait_for(_of_request(answer))
    statement = collector.wait_for(
        lambda span: _attributes(span).get("db.query.text", "").startswith("EXECUTE place_booking (%s")
    )
    assert request.name == "POST /api/v1/bookings/"
    assert _attributes(request)["http.response.status_code"] == 201
    assert (statement.trace_id, statement.parent_span_id) == (request.trace_id, request.span_id)


@pytest.mark.usefixtures("app")
def test_an_answer_that_is_kept_has_a_trace(traced: Service, collector: Collector, client: FlaskClient) -> None:
    event = make_event(client)
    first, kept = (httpx.get(f"{traced.api}/events/{event['id']}", headers={"traceparent": OF_CALLER}) for _ in "12")

    for answer in (first, kept):
        span = collector.wait_for(_of_request(answer))
        assert _attributes(span)["http.route"] == "/api/v1/events/{event_id}"
        assert span.trace_id.hex() in OF_CALLER


def test_a_task_is_traced_from_who_called_for_it(traced: Service, collector: Collector, client: FlaskClient) -> None:
    _order(traced, client)

    published = collector.wait_for(lambda span: span.name == "apply_async/mail.drain")
    task = collector.wait_for(lambda span: span.parent_span_id == published.span_id)
    statement = collector.wait_for(lambda span: span.parent_span_id == task.span_id and "UPDATE" in span.name)
    assert task.name == "run/mail.drain"
    assert statement.trace_id == published.trace_id


def test_nothing_secret_or_personal_is_in_any_trace(
    traced: Service, collector: Collector, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    event, email, refused = make_event(client), new_email(), new_email()
    browser = {"User-Agent": "Ada's browser", "X-Forwarded-For": "203.0.113.9", "X-Api-Key": "a key of hers"}
    browser |= {"traceparent": OF_CALLER, "tracestate": "hers=a-state-of-hers", "baggage": "hers=a-bag-of-hers"}
    with httpx.Client(base_url=traced.api, headers=browser) as http, _refusing(database, refused):
        account = {"email": email, "password": PASSWORD, "name": "Ada Lovelace"}
        http.post("/auth/signup", json=account)
        assert http.post("/auth/signup", json={**account, "email": refused}).status_code == 500
        http.post("/auth/token", data={"username": email, "password": "a wrong password"})
        token = http.post("/auth/login", json={"email": email, "password": PASSWORD}).json()["access_token"]
        mine = {"Authorization": f"Bearer {token}"}
        order = {"event_id": event["id"], "guest_name": "Grace Hopper", "guest_email": email}
        http.post("/bookings/", json=order, headers={**mine, "Idempotency-Key": "key-of-hers"})
        http.get(f"/bookings/{token}")
        http.get("/events/", params={"token": token, "q": "a search of hers"}, headers=mine)
        last = http.get("/bookings/", headers=mine)
    mailbox.wait_for(email)
    collector.wait_for(_of_request(last))
    time.sleep(1)  # what the worker still has to tell

    sent = b"".join(collector.bodies)
    assert b"INSERT INTO users" in sent
    for secret in (
        PASSWORD, "a wrong password", token, token.split(".")[2], email, refused, "Ada", "Grace", "key-of-hers",
        "a search of hers", "a key of hers", "a-state-of-hers", "a-bag-of-hers",
        "203.0.113.9", "127.0.0.1", event["title"], FIXED_SETTINGS["SECRET_KEY"],
    ):  # fmt: skip
        assert secret.encode() not in sent, secret


@contextmanager
def _refusing(database: sa.Engine, email: str) -> Iterator[None]:
    """PostgreSQL refuses an account, and quotes its address in the error."""
    with database.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE users ADD CONSTRAINT refused CHECK (email <> '{email}')"))
    try:
        yield
    finally:
        with database.begin() as connection:
            connection.execute(sa.text("ALTER TABLE users DROP CONSTRAINT refused"))


def test_what_is_not_sent_yet_is_sent_when_a_process_ends(settings: dict[str, str], tmp_path: Path) -> None:
    with _listening() as collector:
        with running_server({**settings, **collector.settings(), "OTEL_BSP_SCHEDULE_DELAY": "60000"}, tmp_path) as url:
            answer = httpx.get(f"{url}/health/live")
            assert collector.bodies == []

        assert any(map(_of_request(answer), collector.spans()))


@pytest.mark.parametrize("is_on", [False, True])
def test_only_with_the_setting_is_anything_of_it_loaded(settings: dict[str, str], *, is_on: bool) -> None:
    # of its packages redis loads two by itself, where they are installed: its API and its SDK
    program = """if True:
        import sys, wsgi
        ours = ("bookings_api.observability.tracing", "opentelemetry.instrumentation", "opentelemetry.exporter")
        print([name for name in sys.modules if name.startswith(ours)])
    """
    environment = {**settings, "TELEMETRY": str(is_on).lower()}

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, check=True)

    assert (done.stdout.strip() != b"[]") is is_on, done.stdout


@pytest.mark.usefixtures("settings")
def test_without_its_packages_it_cannot_be_turned_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEMETRY", "true")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # as where they are not installed

    with pytest.raises(ConfigError, match=r"TELEMETRY: Needs the telemetry extra: .* --extra telemetry"):
        Config.from_environment(NO_ENV_FILE)
