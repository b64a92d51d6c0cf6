"""Lists of people read nothing about the accounts of other organizations, so their duration cannot reveal any."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import MemberRole
from bookings_api.permissions import Actor, Tenancy
from bookings_api.users.queries import list_people
from tests.factories import API, make_owner, organization_of

OWN, FOREIGN = 300, 5000

_ADD_PEOPLE = sa.text("""
    WITH added AS (
        INSERT INTO users (id, email, is_active)
        SELECT gen_random_uuid(), :name || number || '@example.com', true FROM generate_series(1, :count) AS number
        RETURNING id
    )
    INSERT INTO memberships (organization_id, user_id, role) SELECT :organization_id, id, 'user' FROM added
""")


@pytest.fixture
def organization_id(own_organizations: FlaskClient, database: sa.Engine) -> str:
    """A small organization beside a large one whose addresses come first."""
    own, foreign = (organization_of(own_organizations, make_owner(own_organizations)) for _ in range(2))
    with database.begin() as connection:
        for organization, name, count in ((own, "worker", OWN - 1), (foreign, "person", FOREIGN)):
            connection.execute(_ADD_PEOPLE, {"organization_id": organization, "name": name, "count": count})
        connection.execute(sa.text("ANALYZE users, memberships"))
    return own


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _accounts_read(database: sa.Engine, statement: sa.Select[Any]) -> int:
    """Run a statement and return how many rows of `users` it reads, including those that a filter removes."""
    sql = statement.compile(database, compile_kwargs={"literal_binds": True})
    with database.connect() as connection:
        [[explained]] = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}").one()
    return sum(
        round((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in _nodes(explained["Plan"])
        if node.get("Relation Name") == "users"
    )


@pytest.mark.parametrize("options", [{}, {"is_sorted_by_id": True}], ids=["by_email", "by_id"])
@pytest.mark.parametrize("q", [None, "person", "worker", "nobody"])
def test_a_list_of_people_reads_only_the_accounts_of_the_organization(
    database: sa.Engine, organization_id: str, q: str | None, options: Any
) -> None:
    actor = Actor(roles={UUID(organization_id): MemberRole.OWNER}, tenancy=Tenancy.OWN_ORGANIZATION)

    listed = list_people(actor, q=q, **options).with_values()

    assert _accounts_read(database, listed.limit(20)) <= OWN
    count = listed.with_only_columns(sa.func.count(), maintain_column_froms=True).order_by(None)
    assert _accounts_read(database, count) <= OWN


def test_owners_list_and_filter_only_their_own_people(own_organizations: FlaskClient) -> None:
    owner, other = make_owner(own_organizations), make_owner(own_organizations)

    def listed(query: str) -> list[str]:
        people = own_organizations.get(f"{API}/users/?{query}", headers=owner.headers)
        assert people.status_code == 200, people.text
        return [person["email"] for person in people.json]

    assert listed("") == listed("after=") == listed("q=olivia&role=organizer&is_active=true") == [owner.email]
    assert listed(f"q={other.email}") == listed("role=user") == []
