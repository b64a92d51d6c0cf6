"""Behavior common to all commands."""

import os
import subprocess
import sys

import pytest

from bookings_api.local_stack.processes import ROOT, free_port


@pytest.mark.parametrize("command", ["users list", "users deactivate a@example.com", "mail status", "mail retry"])
def test_unavailable_postgresql_is_reported_in_one_line(settings: dict[str, str], command: str) -> None:
    environment = {
        **os.environ, **settings, "LOG_LEVEL": "ERROR",
        "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/nothing",
    }  # fmt: skip
    arguments = [sys.executable, "-m", "flask", *command.split()]

    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: PostgreSQL: ")
    assert done.stderr.count("\n") == 1
