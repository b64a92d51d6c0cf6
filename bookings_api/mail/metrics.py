"""Outbox metrics, read from the database."""

import logging
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from bookings_api.database.unresponsive import time_limit
from bookings_api.mail.status import outbox_state

logger = logging.getLogger(__name__)

# Shorter than Prometheus's default scrape timeout of 10 s, so that the other metrics are reported if PostgreSQL hangs
DATABASE_SECONDS = 5


class OutboxCollector(Collector):
    """Reports the state of the outbox, or nothing while PostgreSQL is unavailable."""

    def collect(self) -> Iterator[Metric]:
        try:
            with time_limit(DATABASE_SECONDS):
                state = outbox_state()
        except SQLAlchemyError as error:
            logger.warning("outbox metrics are missing because PostgreSQL is unavailable: %s", type(error).__name__)
            return
        emails = GaugeMetricFamily("outbox_emails", "Emails in the outbox by status.", labels=["status"])
        for status, count in state.emails.items():
            emails.add_metric([status], count)
        yield emails
        unsent, due = state.oldest_unsent.total_seconds(), state.oldest_due.total_seconds()
        yield GaugeMetricFamily("outbox_oldest_unsent_seconds", "Age of the oldest unsent email.", value=unsent)
        yield GaugeMetricFamily("outbox_oldest_due_seconds", "Longest time that an email has been due.", value=due)
        broadcasts = state.unfinished_broadcasts
        yield GaugeMetricFamily("outbox_unfinished_broadcasts", "Broadcasts in progress.", value=broadcasts)
