"""An event that stays locked, for example by a stalled process, does not stop the rest of the service."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Event
from tests.factories import book, make_event, make_organizer, make_user

pytestmark = pytest.mark.usefixtures("audited")

CHANGES = 40


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_changes_that_wait_for_an_event_leave_connections_for_other_requests(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, method: str
) -> None:
    user, other, organizer = make_user(client), make_user(client), make_organizer(client)
    event, elsewhere = (make_event(client, organizer, capacity=1000) for _ in range(2))
    paths = [f"/bookings/{book(client, user, event).json['id']}" for _ in range(CHANGES)]

    def change(path: str) -> int:
        body = {"ticket_count": 2} if method == "PATCH" else None
        return http.request(method, path, headers=dict(user.headers), json=body).status_code

    with ThreadPoolExecutor(CHANGES) as pool:
        with database.connect() as holder:
            holder.execute(sa.select(Event.id).where(Event.id == UUID(event["id"])).with_for_update())
            changes = [pool.submit(change, path) for path in paths]
            time.sleep(1)
            order = {"event_id": elsewhere["id"]}
            responses = [http.post("/bookings/", headers=dict(other.headers), json=order) for _ in range(4)]
            holder.rollback()
        [each.result() for each in changes]

    assert [response.status_code for response in responses] == [201] * 4
