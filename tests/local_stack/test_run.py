"""`scripts/run` starts everything without warnings, keeps its data, and leaves no process behind."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from bookings_api.local_stack.processes import ROOT
from tests.factories import EVENT, PASSWORD, new_email
from tests.http_client import http_client
from tests.local_stack.running import PORTABLE_RUN, RUN, descendants, parent_of, running, start
from tests.mailbox import Mailbox
from tests.polling import wait_until

pytestmark = pytest.mark.long


def _event_titles(url: str) -> list[str]:
    return [event["title"] for event in httpx.get(f"{url}/api/v1/events/").json()]


def test_demo_data_and_signing_key_survive_a_restart(tmp_path: Path) -> None:
    with running(tmp_path, "--demo") as first:
        titles = _event_titles(first.url)
        assert len(titles) == 12
        for word in ("Swagger UI", f"http://localhost:{first.port}/docs", str(first.mail), "Ctrl-C"):
            assert word in first.output
        assert "ORGANIZER_SIGNUP=open: anyone can become an organizer and manage all accounts; only for" in first.output
        email, password = re.findall(r"User +(\S+) +password: (\S+)", first.output)[0]
        login = httpx.post(f"{first.url}/api/v1/auth/login", json={"email": email, "password": password})
        assert login.status_code == 200
        assert httpx.get(f"{first.url}/docs").status_code == 200
        assert first.end(signal.SIGINT) == 0
        assert "Stopped" in first.output

    with running(tmp_path, "--demo") as second:
        assert _event_titles(second.url) == titles
        headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
        assert httpx.get(f"{second.url}/api/v1/bookings/", headers=headers).status_code == 200


def test_startup_output_is_clean(tmp_path: Path) -> None:
    with running(tmp_path, LOG_LEVEL="WARNING") as run:
        pass

    assert "{" not in run.output  # a line of the JSON log
    assert "warning" not in run.output.lower()


@pytest.mark.parametrize(
    ("setting", "meaning"),
    [
        ("invite_only", "only people who are invited can become organizers"),
        ("own_organization", "anyone can become the owner of a new organization"),
    ],
)
def test_startup_output_says_who_can_become_an_organizer(tmp_path: Path, setting: str, meaning: str) -> None:
    with running(tmp_path, ORGANIZER_SIGNUP=setting) as run:
        assert f"ORGANIZER_SIGNUP={setting}: {meaning}\n" in run.output


@pytest.mark.parametrize("command", [RUN, PORTABLE_RUN], ids=["Linux", "other systems"])
def test_killed_run_leaves_no_process_and_can_be_restarted(tmp_path: Path, command: Sequence[str]) -> None:
    with running(tmp_path, command=command) as first:
        assert first.end(signal.SIGKILL) == -signal.SIGKILL

    with running(tmp_path, command=command) as second:
        assert second.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    "child", ["wsgi.celery worker", "wsgi.celery beat", "gunicorn", "bin/postgres", "valkey-server", "aiosmtpd"]
)
def test_a_killed_child_ends_the_run_and_leaves_no_process(tmp_path: Path, child: str) -> None:
    with running(tmp_path) as run:
        assert run.end(signal.SIGKILL, child=child) == 1
        assert "ended with status -9." in run.output


def test_two_runs_work_in_parallel_and_in_a_long_path(tmp_path: Path) -> None:
    long = tmp_path
    while len(str(long)) < 200:
        long /= "a folder with spaces"[: 199 - len(str(long))] or "x"

    with running(long) as one, running(tmp_path / "short") as other:
        assert (_event_titles(one.url), _event_titles(other.url)) == ([], [])


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        ("Creating the database cluster", signal.SIGTERM),
        ("Starting PostgreSQL", signal.SIGINT),
        ("Migrating", signal.SIGKILL),
        ("Starting Celery", signal.SIGTERM),
    ],
)
def test_run_interrupted_during_startup_leaves_no_process(tmp_path: Path, stage: str, number: signal.Signals) -> None:
    process = start("--data-dir", str(tmp_path), "--port", "0")
    assert process.stdout
    while stage not in (line := process.stdout.readline()):
        assert line
    time.sleep(0.3)
    family = descendants(process.pid)

    process.send_signal(number)
    output, _ = process.communicate(timeout=60)

    assert "Ready" not in output
    assert process.returncode == (0 if number != signal.SIGKILL else -number)
    deadline = time.monotonic() + 30
    while left := [pid for pid in family if parent_of(pid) is not None]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.mark.usefixtures("app")
def test_configured_servers_are_used_and_others_embedded(tmp_path: Path, settings: dict[str, str]) -> None:
    port = "1"  # must be ignored, because MAIL_SERVER is not set
    with running(tmp_path, DATABASE_URL=settings["DATABASE_URL"], MAIL_PORT=port, MAIL_USE_TLS="true") as run:
        assert not (tmp_path / "postgres").exists()
        assert (tmp_path / "valkey").exists()
        assert str(run.mail) in run.output
        account = {"email": new_email(), "password": PASSWORD, "is_organizer": True}
        with http_client(f"{run.url}/api/v1") as http:
            http.post("/auth/signup", json=account)
            login = http.post("/auth/login", json={"email": account["email"], "password": PASSWORD}).json()
            headers = {"Authorization": f"Bearer {login['access_token']}"}
            event = http.post("/events/", json=dict(EVENT), headers=headers).json()
            http.post("/bookings/", json={"event_id": event["id"]}, headers=headers)
        emails = Mailbox(run.mail.parent).wait_for(str(account["email"]), count=2)
        assert sorted(email["Subject"].split()[0] for email in emails) == ["Verify", "Your"]


def _refusal(*options: str) -> str:
    """Return the error line of a run that fails to start."""
    process = start(*options)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in output
    return output.strip().splitlines()[-1]


def test_port_in_use_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]

        line = _refusal("--data-dir", str(tmp_path), "--port", str(port))

    assert f"Port {port} is not available" in line
    assert "--port" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", ["70000", "http", "-1"])
def test_invalid_port_is_reported(port: str) -> None:
    assert re.search(rf"Invalid value for '--port': '?{port}'? is not ", _refusal(f"--port={port}"))


def test_data_directory_in_use_is_reported(tmp_path: Path) -> None:
    with running(tmp_path):
        line = _refusal("--data-dir", str(tmp_path), "--port", "0")

    assert "is in use by another run" in line


def test_unusable_data_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert "cannot be used" in _refusal("--data-dir", str(tmp_path / "file" / "below"), "--port", "0")


def _fresh_checkout(directory: Path) -> Path:
    """Copy what runs before anything is installed."""
    for part in ("scripts", "bookings_api/local_stack"):
        shutil.copytree(ROOT / part, directory / "checkout" / part)
    return directory / "checkout"


def test_run_killed_while_installing_leaves_no_process(tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\nexec sleep 60\n")
    uv.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.defpath}", "HOME": str(tmp_path)}
    with subprocess.Popen([_fresh_checkout(tmp_path) / "scripts" / "run"], env=environment) as process:
        wait_until(lambda: bool(descendants(process.pid)), seconds=10)
        family = descendants(process.pid)
        process.kill()

    wait_until(lambda: all(parent_of(pid) is None for pid in family), seconds=10)


def _refusal_with(directory: Path, path: Path) -> str:
    """Return the error of `scripts/run` in a fresh checkout in `directory`, with `path` first in PATH."""
    environment = {"PATH": f"{path}:{os.defpath}", "HOME": str(directory)}
    command = _fresh_checkout(directory) / "scripts" / "run"
    done = subprocess.run([str(command)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_outdated_python_is_reported(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2"\n')
    old.chmod(0o755)

    assert "Python 3.11 or later is required. Found: Python 3.9.2." in _refusal_with(tmp_path, tmp_path)


def test_missing_pip_is_reported(tmp_path: Path) -> None:
    venv.create(tmp_path / "without-pip", with_pip=False)

    assert "uv or pip is required" in _refusal_with(tmp_path, tmp_path / "without-pip" / "bin")
