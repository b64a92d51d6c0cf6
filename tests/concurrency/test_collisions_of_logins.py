"""Simultaneous changes of roles, and simultaneous uses of one refresh token."""

import httpx
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Login, MemberRole, Membership
from tests.concurrency.harness import Call, collide, outcome_of, race
from tests.factories import make_organizer, make_user

pytestmark = pytest.mark.usefixtures("audited")

ROUNDS = 8


def test_a_refresh_token_used_twice_at_once_yields_one_pair_that_is_revoked(
    client: FlaskClient, database: sa.Engine, http: httpx.Client
) -> None:
    for _ in range(ROUNDS):
        user = make_user(client)
        pairs: list[dict[str, str]] = []

        def refresh(token: str) -> httpx.Response:
            return http.post("/auth/refresh", headers={"Authorization": f"Bearer {token}"})

        def attempt(_: int, token: str = user.refresh_token, pairs: list[dict[str, str]] = pairs) -> str:
            response = refresh(token)
            if response.status_code == 200:
                pairs.append(response.json())
            return outcome_of(response)

        assert race(attempt, clients=2) == {"200": 1, "401 unauthenticated": 1}
        (pair,) = pairs
        assert outcome_of(refresh(pair["refresh_token"])) == "401 unauthenticated"
        for token in (user.token, pair["access_token"]):
            profile = http.get("/users/me", headers={"Authorization": f"Bearer {token}"})
            assert outcome_of(profile) == "401 unauthenticated"

    with database.connect() as connection:
        assert connection.scalars(sa.select(Login.id).where(Login.revoked_at.is_(None))).all() == []


@pytest.mark.parametrize("targets", [(1, 0), (0, 1)], ids=["each other", "themselves"])
def test_one_organizer_remains_when_two_are_demoted_at_once(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, targets: tuple[int, int]
) -> None:
    for _ in range(ROUNDS):
        _have_no_organizer(database)
        pair = (make_organizer(client), make_organizer(client))
        calls = [
            Call("demote", actor, "PATCH", f"/users/{pair[target].id}", {"role": "user"})
            for actor, target in zip(pair, targets, strict=True)
        ]

        outcomes = collide(http, *calls)

        # an organizer demoted before their own request is checked is no longer logged in, or no longer an organizer
        refusals = {"demote 409 last-organizer", "demote 401 unauthenticated", "demote 403 permission-denied"}
        assert outcomes["demote 200"] == 1
        assert sum(outcomes.get(refusal, 0) for refusal in refusals) == 1
        with database.connect() as connection:
            leaders = sa.select(Membership.user_id).where(Membership.role != MemberRole.USER, Membership.is_active)
            left = connection.scalars(leaders).all()
        assert len(left) == 1


def _have_no_organizer(database: sa.Engine) -> None:
    """Demote the organizers of earlier rounds."""
    with database.begin() as connection:
        connection.execute(sa.update(Membership).values(role=MemberRole.USER))
