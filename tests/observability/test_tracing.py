"""What a collector receives from the running service, and what it must never receive."""

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
from tests.http_client import http_client
from tests.mailbox import Mailbox
from tests.polling import wait_until
from tests.service import Service, running_server, running_service

# A trace started by the client (W3C Trace Context)
CLIENT_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """Receives traces by OTLP over HTTP, and stores them."""

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
        """Settings of a service that exports to this collector without delay."""
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

    def wait_for(self, predicate: Callable[[Span], bool]) -> Span:
        wait_until(lambda: any(map(predicate, self.spans())), seconds=20)
        return next(filter(predicate, self.spans()))


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


def _belongs_to(response: httpx.Response) -> Callable[[Span], bool]:
    return lambda span: _attributes(span).get("bookings.request_id") == response.headers["X-Request-ID"]


def _book(service: Service, client: FlaskClient) -> tuple[Account, httpx.Response]:
    user, event = make_user(client), make_event(client)
    body = {"event_id": event["id"]}
    return user, httpx.post(f"{service.api}/bookings/", json=body, headers=dict(user.headers))


def test_request_and_its_statements_form_one_trace(traced: Service, collector: Collector, client: FlaskClient) -> None:
    _, response = _book(traced, client)

    request = collector.wait_for(_belongs_to(response))
    statement = collector.wait_for(lambda span: "EXECUTE lock_event (%s" in _attributes(span).get("db.query.text", ""))
    assert request.name == "POST /api/v1/bookings/"
    assert _attributes(request)["http.response.status_code"] == 201
    assert (statement.trace_id, statement.parent_span_id) == (request.trace_id, request.span_id)


@pytest.mark.usefixtures("app")
def test_cached_response_is_traced(traced: Service, collector: Collector, client: FlaskClient) -> None:
    event = make_event(client)
    first, cached = (
        httpx.get(f"{traced.api}/events/{event['id']}", headers={"traceparent": CLIENT_TRACE}) for _ in "12"
    )

    for response in (first, cached):
        span = collector.wait_for(_belongs_to(response))
        assert _attributes(span)["http.route"] == "/api/v1/events/{event_id}"
        assert span.trace_id.hex() in CLIENT_TRACE


def test_task_belongs_to_the_trace_of_its_publisher(traced: Service, collector: Collector, client: FlaskClient) -> None:
    _book(traced, client)

    published = collector.wait_for(lambda span: span.name == "apply_async/mail.drain")
    task = collector.wait_for(lambda span: span.parent_span_id == published.span_id)
    statement = collector.wait_for(
        lambda span: (
            "EXECUTE claim_next_email (%s" in _attributes(span).get("db.query.text", "")
            and span.parent_span_id == task.span_id
        )
    )
    assert task.name == "run/mail.drain"
    assert statement.trace_id == published.trace_id


def test_traces_contain_no_secrets_or_personal_data(
    traced: Service, collector: Collector, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    event, email, refused = make_event(client), new_email(), new_email()
    browser = {"User-Agent": "Ada's browser", "X-Forwarded-For": "203.0.113.9", "X-Api-Key": "a key of hers"}
    browser |= {"traceparent": CLIENT_TRACE, "tracestate": "hers=a-state-of-hers", "baggage": "hers=a-bag-of-hers"}
    with http_client(traced.api, headers=browser) as http, _refusing(database, refused):
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
    collector.wait_for(_belongs_to(last))
    time.sleep(1)  # the worker may still be exporting

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
    """Make PostgreSQL reject an account with an error that quotes its address."""
    with database.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE users ADD CONSTRAINT refused CHECK (email <> '{email}')"))
    try:
        yield
    finally:
        with database.begin() as connection:
            connection.execute(sa.text("ALTER TABLE users DROP CONSTRAINT refused"))


def test_pending_spans_are_exported_when_a_process_ends(settings: dict[str, str], tmp_path: Path) -> None:
    with _listening() as collector:
        with running_server({**settings, **collector.settings(), "OTEL_BSP_SCHEDULE_DELAY": "60000"}, tmp_path) as url:
            response = httpx.get(f"{url}/health/live")
            assert collector.bodies == []

        assert any(map(_belongs_to(response), collector.spans()))


@pytest.mark.parametrize("is_on", [False, True])
def test_tracing_is_only_loaded_if_enabled(settings: dict[str, str], *, is_on: bool) -> None:
    # redis loads the API and the SDK of OpenTelemetry if they are installed
    program = """if True:
        import sys, wsgi
        ours = ("bookings_api.observability.tracing", "opentelemetry.instrumentation", "opentelemetry.exporter")
        print([name for name in sys.modules if name.startswith(ours)])
    """
    environment = {**settings, "TELEMETRY": str(is_on).lower()}

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, check=True)

    assert (done.stdout.strip() != b"[]") is is_on, done.stdout


@pytest.mark.usefixtures("settings")
def test_tracing_cannot_be_enabled_without_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEMETRY", "true")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # as if not installed

    with pytest.raises(ConfigError, match=r"TELEMETRY: Needs the telemetry extra: .* --extra telemetry"):
        Config.from_environment(NO_ENV_FILE)
