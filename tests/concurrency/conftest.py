"""Fixtures for races against the running service."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask

from bookings_api import audit
from tests.http_client import http_client
from tests.service import Service


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    """A client of the running service without a limit on connections."""
    with http_client(service.api) as client:
        yield client


@pytest.fixture
def audited(app: Flask, database: sa.Engine) -> Iterator[None]:
    """Check the data with the audit after the test."""
    yield
    with database.connect() as connection:
        assert [str(violation) for violation in audit.violations(connection, emails_since=timedelta(days=1))] == []
