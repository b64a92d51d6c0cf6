"""The running service accepts what its OpenAPI document allows and refuses what it forbids.

schemathesis sends examples, boundary values, random requests, and chains of requests that use earlier responses, with
all of its checks. `scripts/fuzz` does the same for longer.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.factories import API, make_account
from tests.service import Service

pytestmark = pytest.mark.long

HERE = Path(__file__).parent

# The same requests in every run, so that none fails by chance.
QUICK = ["--generation-deterministic", "--max-examples=3"]


def _seconds() -> int:
    """Duration of a long run; 0 for the quick one."""
    return int(os.environ.get("FUZZ_SECONDS", "0"))


@pytest.mark.parametrize("role", ["organizer", "user"])
def test_every_response_matches_the_openapi_document(
    client: FlaskClient, service: Service, tmp_path: Path, role: str
) -> None:
    account = make_account(client, is_organizer=role == "organizer")
    command = [
        sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(HERE / "schemathesis.toml"),
        "run", f"{service.api}/openapi.json", "--url", service.url, "--checks=all", "--continue-on-failure",
        "--header", f"Authorization: Bearer {account.token}",
        "--exclude-operation-id=logout",  # every later request would be a 401
        *([f"--max-time={_seconds()}"] if _seconds() else QUICK),
    ]  # fmt: skip
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py"),
        "ACCOUNT_ID": account.id,
    }

    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=_seconds() + 300, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert client.get(f"{API}/users/me", headers=account.headers).status_code == 200, (
        "most requests were sent without a valid login"
    )
