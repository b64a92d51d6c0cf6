"""Who sees a draft."""

import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import API, Account, add_to_team, make_event
from tests.permissions import CALLERS, make_scenes


def test_the_list_of_events_contains_exactly_the_drafts_that_the_caller_can_read(
    client: FlaskClient, database: sa.Engine
) -> None:
    scenes = make_scenes(client, database, *CALLERS)
    responsible = scenes["responsible"].responsible
    draft = make_event(client, responsible, status="draft")
    for caller, role in (("helper", "check_in"), ("co-org", "co_organizer")):
        account = scenes[caller].caller
        assert isinstance(account, Account)
        add_to_team(client, responsible, draft, account, role)
    readers, listers = set(), set()

    for name, scene in scenes.items():
        headers = scene.caller.headers if scene.caller else {}
        if client.get(f"{API}/events/{draft['id']}", headers=headers).status_code == 200:
            readers.add(name)
        listed = client.get(f"{API}/events/all", headers=headers).json
        if isinstance(listed, list) and draft["id"] in [event["id"] for event in listed]:
            listers.add(name)

    assert readers == listers == {"helper", "co-org", "responsible", "owner"}
