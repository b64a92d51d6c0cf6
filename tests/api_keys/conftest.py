"""A key of an organizer, and an event that it can reach."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import Account, Key, make_event, make_key


@pytest.fixture
def key(client: FlaskClient, organizer: Account) -> Key:
    return make_key(client, organizer)


@pytest.fixture
def event(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    return make_event(client, organizer, contact_name="Box office", contact_email="office@example.com")
