"""Several organizations in one service share nothing (`ORGANIZER_SIGNUP=own_organization`)."""

from flask.testing import FlaskClient

from tests.factories import API, make_organizer


def test_signing_up_as_an_organizer_creates_an_organization(own_organizations: FlaskClient) -> None:
    owner = make_organizer(own_organizations)

    assert own_organizations.get(f"{API}/users/me", headers=owner.headers).json["is_owner"]
    people = own_organizations.get(f"{API}/users/", headers=owner.headers).json
    assert [person["id"] for person in people] == [owner.id]
