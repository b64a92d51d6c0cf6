"""Fixtures for races against the running service."""

from collections.abc import Iterator

import httpx
import pytest

from tests.http_client import http_client
from tests.service import Service


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    """A client of the running service without a limit on connections."""
    with http_client(service.api) as client:
        yield client
