"""Loaded by schemathesis itself: values that it cannot take from the OpenAPI document."""

import os
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st

# What the document states as x-formatMinimum and x-formatExclusiveMaximum, which schemathesis does not read.
schemathesis.openapi.format(
    "date-time",
    st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)).map(datetime.isoformat),  # noqa: DTZ001 - Hypothesis adds the zone
)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Leave the account alone that sends the requests: deactivated, it would be told 401 and nothing else."""
    if case.path_parameters and case.path_parameters.get("user_id") == os.environ["ACCOUNT_ID"]:
        case.path_parameters["user_id"] = str(uuid4())
