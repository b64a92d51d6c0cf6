"""`GET /metrics`, in the Prometheus text format, for who sends the `METRICS_TOKEN` as bearer token.

What all processes of this gunicorn have counted, whichever of them answers; and the outbox, as the database has it.
"""

import logging
from collections.abc import Iterator
from hmac import compare_digest

import flask
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from bookings_api.database.unresponsive import time_limit
from bookings_api.errors import Unauthenticated
from bookings_api.mail.status import outbox_state
from bookings_api.observability.metrics import aggregated

logger = logging.getLogger(__name__)

# Prometheus waits for 10 by default; and what else is counted it must get while PostgreSQL hangs, above all.
DATABASE_SECONDS = 5


class OutboxCollector(Collector):
    """The outbox as the database has it, so that every process tells the same; nothing while that is away."""

    def collect(self) -> Iterator[Metric]:
        try:
            with time_limit(DATABASE_SECONDS):
                state = outbox_state()
        except SQLAlchemyError as error:
            logger.warning("no metrics of the outbox, PostgreSQL is away: %s", type(error).__name__)
            return
        mails = GaugeMetricFamily("outbox_emails", "Mails of the outbox.", labels=["status"])
        for status, count in state.mails.items():
            mails.add_metric([status], count)
        yield mails
        unsent, due = state.oldest_unsent.total_seconds(), state.oldest_due.total_seconds()
        yield GaugeMetricFamily("outbox_oldest_unsent_seconds", "Age of the oldest unsent mail.", value=unsent)
        yield GaugeMetricFamily("outbox_oldest_due_seconds", "The longest that mail waits for a worker.", value=due)
        notices = state.unfinished_broadcasts
        yield GaugeMetricFamily("outbox_unfinished_broadcasts", "News for all guests, not written out.", value=notices)


def init_metrics(app: flask.Flask) -> None:
    """Add the route, if there is a token."""
    token: str | None = app.config["METRICS_TOKEN"]
    if not token:
        return
    outbox = CollectorRegistry()
    outbox.register(OutboxCollector())
    expected = f"Bearer {token}".encode()

    @app.get("/metrics")
    def metrics() -> flask.Response:
        if not compare_digest(flask.request.headers.get("Authorization", "").encode(), expected):
            raise Unauthenticated("Metrics need the METRICS_TOKEN as bearer token.")
        text = generate_latest(aggregated()) + generate_latest(outbox)
        return flask.Response(text, content_type=CONTENT_TYPE_LATEST)
