"""Changes of a team while the event is transferred."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.concurrency.harness import outcome_of
from tests.factories import add_to_team, make_event, make_organizer, verify_email
from tests.polling import wait_until
from tests.sql import waiting_sessions


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_former_organizer_no_longer_changes_the_team(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, method: str
) -> None:
    former, new = make_organizer(client), verify_email(client, make_organizer(client))
    event = make_event(client, former)
    path, body = f"/events/{event['id']}/team", {"role": "co_organizer"}
    if method == "POST":
        body["email"] = new.email
    else:
        add_to_team(client, former, event, new, "check_in")
        path += f"/{new.id}"

    with ThreadPoolExecutor(1) as pool:
        with database.begin() as connection:
            connection.execute(sa.text("SELECT 1 FROM users WHERE id = :id FOR UPDATE"), {"id": new.id})
            json = None if method == "DELETE" else body
            response = pool.submit(http.request, method, path, headers=dict(former.headers), json=json)
            wait_until(lambda: waiting_sessions(database) == 1, seconds=10)
            transfer = sa.text("UPDATE events SET organizer_id = :organizer WHERE id = :event")
            connection.execute(transfer, {"organizer": new.id, "event": event["id"]})

        assert outcome_of(response.result()) == "403 permission-denied"
