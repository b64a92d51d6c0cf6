"""What races need besides the service."""

from collections.abc import Iterator

import httpx
import pytest

from tests.service import Service


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    """A client of the running service's API with as many connections as it wants."""
    with httpx.Client(base_url=service.api, timeout=60, limits=httpx.Limits(max_connections=None)) as client:
        yield client
