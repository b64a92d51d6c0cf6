"""What tests of HTTP share."""

from collections.abc import Iterator

import pytest
from flask import Flask

from bookings_api.http.rate_limiting.limits import COUNTERS
from config import LIMITS


@pytest.fixture
def delivered_limits(application: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The limits as they are when nobody sets them, all counted in Redis: in memory the same numbers would come out."""
    for name, limit in LIMITS.items():
        monkeypatch.setitem(application.config, name, limit)
    yield
    assert not application.extensions[COUNTERS].is_alone
