"""Clients generated from the OpenAPI document compile without warnings and work."""

import shutil
from pathlib import Path

import httpx
import pytest

from tests.factories import new_email
from tests.mailbox import Mailbox
from tests.node.packages import node_modules, run
from tests.polling import wait_until
from tests.service import Service

HERE = Path(__file__).parent


@pytest.fixture
def project(service: Service, tmp_path: Path) -> Path:
    """A client project: the files of this directory and the OpenAPI document of the running service."""
    shutil.copytree(HERE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("test_*", "__*"))
    (tmp_path / "openapi.json").write_bytes(httpx.get(f"{service.api}/openapi.json").content)
    return tmp_path


def _run_flow(project: Path, service: Service, mailbox: Mailbox, *program: str) -> None:
    """Run a program that books, changes and cancels, then check the emails to its user."""
    organizer, user = new_email(), new_email()

    booking = f"Your booking {run(*program, service.url, organizer, user, cwd=project).rstrip()}"

    def subjects() -> set[str]:
        return {message["Subject"].removesuffix(": Schubert by Candlelight") for message in mailbox.to(user)}

    # earlier emails are outdated unless they were sent before the cancellation
    wait_until(lambda: f"{booking} is cancelled" in subjects(), seconds=60)
    about_booking = {f"{booking} is confirmed", f"{booking} has changed", f"{booking} is cancelled"}
    assert subjects() <= {"Verify your email", *about_booking}


def test_a_generated_python_client_type_checks_and_books(project: Path, service: Service, mailbox: Mailbox) -> None:
    package = ("--meta=none", "--output-path=event_booking_client")
    run("openapi-python-client", "generate", "--path=openapi.json", *package, "--fail-on-warning", cwd=project)
    run("mypy", "--strict", "--config-file=", "--follow-imports=silent", "flow.py", cwd=project)

    _run_flow(project, service, mailbox, "python", "-W", "error", "flow.py")


@pytest.mark.long
def test_a_generated_typescript_client_type_checks_and_books(project: Path, service: Service, mailbox: Mailbox) -> None:
    (project / "node_modules").symlink_to(node_modules())
    output = run("openapi-typescript", "openapi.json", "--output=api.d.ts", "--default-non-nullable=false", cwd=project)
    assert "⚠" not in output
    run("tsc", cwd=project)

    _run_flow(project, service, mailbox, "node", "flow.mts")
