"""Times for tests."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return the current time in UTC, with time zone."""
    return datetime.now(UTC)
