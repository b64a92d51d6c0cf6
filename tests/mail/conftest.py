"""A mail server that first defers every email."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import Account, make_organizer, make_user
from tests.mail.draining import Delivery
from tests.mail.smtp_server import ScriptedServer, smtp_server


@pytest.fixture
def delivery(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Delivery]:
    server = ScriptedServer(data="451 come back later")
    with smtp_server(server) as port:
        yield Delivery(app, server, port, monkeypatch)


@pytest.fixture
def organizer(client: FlaskClient) -> Account:
    return make_organizer(client)


@pytest.fixture
def user(client: FlaskClient) -> Account:
    return make_user(client)
