"""Holds and the waiting list while workers and PostgreSQL fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from bookings_api import audit
from bookings_api.local_stack.processes import Child
from tests.factories import EVENT
from tests.faults.cluster import Cluster, kill
from tests.faults.scenario import RECOVERY_SECONDS, log_in
from tests.http_client import http_client
from tests.polling import wait_until

# Beat starts a sweep every 10 s, and a new worker needs some time to start.
SWEPT_SECONDS = 30


class Sale:
    """An event with four tickets and a waiting list, and a buyer."""

    def __init__(self, cluster: Cluster, http: httpx.Client) -> None:
        self._database, self._http = cluster.database, http
        event = {**EVENT, "capacity": 4, "waitlist": "on"}
        self.event = http.post("/events/", json=event, headers=log_in(http, is_organizer=True)).json()
        http.headers.update(log_in(http, is_organizer=False))

    def book(self, **order: Any) -> Any:
        booked = self._http.post("/bookings/", json={"event_id": self.event["id"], **order})
        assert booked.status_code == 201, booked.text
        return booked.json()

    def confirm(self, booking: Any) -> httpx.Response:
        return self._http.post(f"/bookings/{booking['id']}/confirm", json={})

    def status_of(self, booking: Any) -> str:
        return str(self._http.get(f"/bookings/{booking['id']}").json()["status"])

    def let_holds_expire(self) -> None:
        query = "UPDATE bookings SET held_until = now() WHERE status = 'held' AND event_id = :event"
        with self._database.begin() as connection:
            connection.execute(sa.text(query), {"event": self.event["id"]})

    def emails(self) -> list[tuple[str, str]]:
        """Return the kind and the status of each email about the event's bookings."""
        query = "SELECT kind, outbox_emails.status FROM outbox_emails JOIN bookings ON bookings.id = booking_id"
        with self._database.connect() as connection:
            rows = connection.execute(sa.text(f"{query} WHERE bookings.event_id = :event"), {"event": self.event["id"]})
            return sorted((row[0], row[1]) for row in rows)

    def violations(self) -> list[str]:
        with self._database.connect() as connection:
            return [str(one) for one in audit.violations(connection, emails_since=timedelta(days=1))]


@contextmanager
def _sale(cluster: Cluster) -> Iterator[Sale]:
    cluster.restart_stopped_processes()
    with http_client(f"{cluster.url}/api/v1") as http:
        sale = Sale(cluster, http)
        yield sale
        assert sale.violations() == []


def test_while_no_worker_runs_buyers_end_expired_holds_and_the_rest_is_swept_later(cluster: Cluster) -> None:
    with _sale(cluster) as sale:
        holds = [sale.book(hold_minutes=5) for _ in range(4)]
        party = sale.book(ticket_count=2, waitlist=True)
        wait_until(lambda: sale.emails() == [("booking_waitlisted", "sent")])
        kill(cluster.worker)
        kill(cluster.beat)
        sale.let_holds_expire()

        buyer = sale.book(ticket_count=2)

        # the request has ended the holds, and served the party that waited before it
        assert (buyer["status"], sale.status_of(party)) == ("confirmed", "confirmed")
        assert {sale.status_of(hold) for hold in holds} == {"expired"}
        cluster.restart_stopped_processes()
        sent = [("booking_confirmed", "sent"), ("booking_confirmed", "sent"), ("booking_waitlisted", "sent")]
        wait_until(lambda: sale.emails() == sent, seconds=SWEPT_SECONDS)


def test_a_worker_killed_while_holds_expire_leaves_no_tickets_idle(cluster: Cluster) -> None:
    with _sale(cluster) as sale:
        for _ in range(4):
            sale.book(hold_minutes=5)
        parties = [sale.book(waitlist=True) for _ in range(4)]
        sale.let_holds_expire()
        with cluster.locked(sale.event["id"]):
            cluster.publish("inventory.sweep", count=2)
            cluster.wait_for_lock_waiters(1)
            kill(cluster.worker)
        cluster.restart_stopped_processes()

        wait_until(lambda: {sale.status_of(party) for party in parties} == {"confirmed"}, seconds=SWEPT_SECONDS)


@pytest.mark.parametrize("end", [Child.stop, kill], ids=["stopped", "killed"])
def test_a_hold_can_be_confirmed_after_postgresql_restarts(end: Any, cluster: Cluster) -> None:
    with _sale(cluster) as sale:
        held = sale.book(ticket_count=2, hold_minutes=5)
        end(cluster.postgres)
        cluster.restart_postgres()

        wait_until(lambda: sale.confirm(held).status_code == 200, seconds=RECOVERY_SECONDS)

        assert sale.status_of(held) == "confirmed"
        assert sale.confirm(held).status_code == 200
        wait_until(lambda: sale.emails() == [("booking_confirmed", "sent")], seconds=SWEPT_SECONDS)
