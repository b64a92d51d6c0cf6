"""Fixtures shared by the HTTP tests."""

from collections.abc import Iterator

import pytest
from flask import Flask

from bookings_api.http.rate_limiting.limits import STORAGE
from config import LIMITS


@pytest.fixture
def delivered_limits(application: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The default limits. Checks that they were counted in Redis, because counts in memory would look the same."""
    for name, limit in LIMITS.items():
        monkeypatch.setitem(application.config, name, limit)
    yield
    assert not application.extensions[STORAGE].is_local
