"""What races need besides the service."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask

from bookings_api import audit
from tests.service import Service


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    """A client of the running service's API with as many connections as it wants."""
    with httpx.Client(base_url=service.api, timeout=60, limits=httpx.Limits(max_connections=None)) as client:
        yield client


@pytest.fixture
def audited(app: Flask, database: sa.Engine) -> Iterator[None]:
    """Whatever the test did at once, the data breaks no rule in the end."""
    yield
    with database.connect() as connection:
        assert [str(violation) for violation in audit.violations(connection, emails_since=timedelta(days=1))] == []
