"""Reads the metrics of a running gunicorn like Prometheus."""

import os
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bookings_api.local_stack.processes import Child
from tests.factories import Account
from tests.local_stack.running import descendants
from tests.polling import wait_until

TOKEN = {"Authorization": "Bearer a-token-for-metrics"}

Values = Counter[tuple[str, ...]]


def read(text: str) -> Values:
    """Parse metrics into values by sample name and label values."""
    return Counter(
        {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )


@dataclass
class Gunicorn:
    """A gunicorn with two workers and the directory of their metrics files."""

    url: str
    server: Child
    directory: Path
    http: httpx.Client

    @property
    def api(self) -> str:
        return f"{self.url}/api/v1"

    def metrics(self) -> Values:
        response = self.http.get(f"{self.url}/metrics", headers=TOKEN)
        assert response.status_code == 200
        return read(response.text)

    def kill_workers(self) -> None:
        """Kill all gunicorn workers with SIGKILL and wait until new ones respond."""
        killed = descendants(self.server.pid)
        for process in killed:
            os.kill(process, signal.SIGKILL)
        wait_until(lambda: len(descendants(self.server.pid) - killed) == 2 and self._responds(), seconds=20)

    def _responds(self) -> bool:
        try:
            return self.http.get(f"{self.url}/health/live").status_code == 200
        except httpx.TransportError:
            return False

    def files(self) -> set[str]:
        return {file.name for file in self.directory.glob("*/*.db")}

    def book(self, account: Account, event_id: str, **headers: str) -> httpx.Response:
        body = {"event_id": event_id, "ticket_count": 2}
        return self.http.post(f"{self.api}/bookings/", json=body, headers={**account.headers, **headers})
