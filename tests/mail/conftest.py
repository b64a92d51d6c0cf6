"""A mail server that first defers every email."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.mail.draining import Delivery
from tests.mail.smtp_server import ScriptedServer, smtp_server


@pytest.fixture
def delivery(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Delivery]:
    server = ScriptedServer(data="451 come back later")
    with smtp_server(server) as port:
        yield Delivery(app, server, port, monkeypatch)
