"""`GET /metrics` in the Prometheus text format, for clients that send the `METRICS_TOKEN` as a bearer token."""

from collections.abc import Iterable
from hmac import compare_digest

import flask
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from bookings_api.errors import Unauthenticated
from bookings_api.observability.metrics import aggregated


def init_metrics(app: flask.Flask, collectors: Iterable[Collector]) -> None:
    """Add the route if there is a token. `collectors` read further metrics at each request."""
    token: str | None = app.config["METRICS_TOKEN"]
    if not token:
        return
    collected = CollectorRegistry()
    for collector in collectors:
        collected.register(collector)
    expected = f"Bearer {token}".encode()

    @app.get("/metrics")
    def metrics() -> flask.Response:
        if not compare_digest(flask.request.headers.get("Authorization", "").encode(), expected):
            raise Unauthenticated("Send the METRICS_TOKEN as a bearer token.")
        text = generate_latest(aggregated()) + generate_latest(collected)
        return flask.Response(text, content_type=CONTENT_TYPE_LATEST)
