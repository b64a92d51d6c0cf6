"""Owners who change each other at the same time."""

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.concurrency.harness import outcome_of, race
from tests.factories import API, make_organizer, make_user, verify_email
from tests.teams.invitations import join_organization


@pytest.mark.parametrize("attempt", range(5))
def test_the_last_owner_stays_even_when_two_owners_demote_each_other_at_the_same_time(
    own_organizations: FlaskClient, database: sa.Engine, attempt: int
) -> None:
    owner = make_organizer(own_organizations)
    second = join_organization(
        own_organizations, database, owner, verify_email(own_organizations, make_user(own_organizations)), "owner"
    )
    calls = [(owner, second), (second, owner)]

    def demote(number: int) -> str:
        sender, target = calls[number]
        client = own_organizations.application.test_client()
        return outcome_of(client.patch(f"{API}/users/{target.id}", headers=sender.headers, json={"role": "user"}))

    outcomes = race(demote, clients=2)

    assert outcomes["200"] == 1
    assert outcomes["409 last-owner"] + outcomes["403 permission-denied"] == 1
    with database.connect() as connection:
        owners = sa.text("SELECT count(*) FROM memberships WHERE role = 'owner' AND user_id IN (:one, :two)")
        assert connection.scalar(owners, {"one": owner.id, "two": second.id}) == 1
