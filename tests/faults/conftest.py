"""A running service for each process of the run, and for each fault a trial with a line in the report."""

from collections.abc import Iterator

import pytest

from tests.conftest import FIXED_SETTINGS
from tests.faults.harness import Site
from tests.faults.report import PROPERTY
from tests.faults.trial import Trial, new_trial


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    # long enough for a busy machine, short enough to wait for one that is silent
    with Site(tmp_path_factory.mktemp("site"), {**FIXED_SETTINGS, "MAIL_TIMEOUT": "3"}) as site:
        yield site


@pytest.fixture
def trial(site: Site, request: pytest.FixtureRequest) -> Iterator[Trial]:
    """Ten bookings made and confirmed by mail; the fault is the test's."""
    site.heal()
    with new_trial(site) as trial:
        trial.book(10)
        trial.await_delivery()
        yield trial
        assert trial.violations() == []
        if trial.troubled:
            request.node.user_properties.append((PROPERTY, trial.line_of_report()))
