"""Random sequences of operations on tickets, compared with a model of the expected outcome."""

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.concurrency.machine import BookingMachine
from tests.factories import make_organizer, make_user

pytestmark = pytest.mark.usefixtures("audited")

# As many steps as fit into some seconds, the same in every run, so that failures are reproducible.
SETTINGS = settings(
    max_examples=40,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    # without explaining failures, which takes a minute
    phases=[Phase.generate, Phase.shrink],
)


def test_no_sequence_of_operations_oversells_an_event_or_loses_an_email(
    client: FlaskClient, database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    _run(client, database, caplog, SETTINGS)


@pytest.mark.long
def test_long_sequences_of_operations_do_not_either(
    client: FlaskClient, database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    _run(client, database, caplog, settings(SETTINGS, max_examples=120, stateful_step_count=50))


def _run(client: FlaskClient, database: sa.Engine, caplog: pytest.LogCaptureFixture, chosen: settings) -> None:
    # the log lines of thousands of requests would bury the steps that Hypothesis reports
    caplog.set_level("ERROR", logger="bookings_api.access")
    # a plain client, because checking each response against the OpenAPI document takes time
    client = FlaskClient(client.application, client.application.response_class)
    organizer, accounts = make_organizer(client), [make_user(client) for _ in range(3)]
    # each step reads only committed data
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:

        class Machine(BookingMachine):
            """Created by Hypothesis for each example, without arguments."""

            def __init__(self) -> None:
                super().__init__(
                    client=client, database=database, connection=connection, organizer=organizer, accounts=accounts
                )

        run_state_machine_as_test(Machine, settings=chosen)
