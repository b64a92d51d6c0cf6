"""Fixtures: one cluster per pytest process, and one scenario per fault with a row in the report."""

from collections.abc import Iterator

import pytest

from tests.conftest import FIXED_SETTINGS
from tests.faults.cluster import Cluster
from tests.faults.report import PROPERTY
from tests.faults.scenario import Scenario, new_scenario


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # MAIL_TIMEOUT is long enough for a busy machine and short enough to wait out an unresponsive server.
    with Cluster(tmp_path_factory.mktemp("cluster"), {**FIXED_SETTINGS, "MAIL_TIMEOUT": "3"}) as cluster:
        yield cluster


@pytest.fixture
def scenario(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """Ten confirmed bookings whose emails have arrived. The test injects the fault; no invariant may break."""
    cluster.restart_stopped_processes()
    with new_scenario(cluster) as scenario:
        scenario.book(10)
        scenario.wait_for_delivery()
        yield scenario
        assert scenario.violations() == []
        if scenario.during_fault:
            request.node.user_properties.append((PROPERTY, scenario.report_row()))
