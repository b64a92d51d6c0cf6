"""Owners who change each other at the same time."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.concurrency.harness import outcome_of, race
from tests.factories import API, Account, make_organizer, make_user, verify_email
from tests.polling import wait_until
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


_WAITING = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def test_an_owner_demoted_in_the_meantime_cannot_demote_others(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner = make_organizer(client)
    second, _ = (
        join_organization(client, database, owner, verify_email(client, make_user(client)), "owner") for _ in range(2)
    )

    with ThreadPoolExecutor(1) as pool:
        with database.connect() as holder:
            holder.execute(sa.text("SELECT FROM users WHERE id = :id FOR UPDATE"), {"id": owner.id})
            late = pool.submit(_demote, client, owner, second)
            wait_until(lambda: _count(database, _WAITING) > 0)
            demoted = sa.text("UPDATE memberships SET role = 'user' WHERE user_id = :id")
            # fails if the waiting request has locked the membership before the account
            holder.execute(sa.text("SELECT FROM memberships WHERE user_id = :id FOR UPDATE NOWAIT"), {"id": owner.id})
            holder.execute(demoted, {"id": owner.id})
            holder.commit()
        assert late.result() == "403 permission-denied"


def _demote(client: FlaskClient, sender: Account, target: Account) -> str:
    anew = client.application.test_client()
    return outcome_of(anew.patch(f"{API}/users/{target.id}", headers=sender.headers, json={"role": "user"}))


def _count(database: sa.Engine, query: sa.TextClause) -> int:
    with database.connect() as connection:
        return int(connection.scalar(query) or 0)
