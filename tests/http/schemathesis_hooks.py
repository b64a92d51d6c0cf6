"""Hooks loaded by schemathesis: values that it cannot derive from the OpenAPI document."""

import os
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st

# The document states these bounds as x-formatMinimum and x-formatExclusiveMaximum, which schemathesis ignores.
schemathesis.openapi.format(
    "date-time",
    st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)).map(datetime.isoformat),  # noqa: DTZ001 - Hypothesis adds the zone
)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Never target the account that sends the requests: once deactivated, it would only get 401."""
    if case.path_parameters and case.path_parameters.get("user_id") == os.environ["ACCOUNT_ID"]:
        case.path_parameters["user_id"] = str(uuid4())
