"""Clients that are generated from the OpenAPI document, without a warning, do what it says."""

import shutil
from pathlib import Path

import httpx
import pytest

from tests.factories import new_email
from tests.mailbox import Mailbox
from tests.node.packages import node_modules, run
from tests.service import Service

HERE = Path(__file__).parent


@pytest.fixture
def project(service: Service, tmp_path: Path) -> Path:
    """A client's project: the programs of this directory, and the document that the service gives out."""
    shutil.copytree(HERE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("test_*", "__*"))
    (tmp_path / "openapi.json").write_bytes(httpx.get(f"{service.api}/openapi.json").content)
    return tmp_path


def _go_through(project: Path, service: Service, mailbox: Mailbox, *program: str) -> None:
    """Have `program` book, change and cancel; it prints the booking's reference, and its user hears of it by mail."""
    organizer, user = new_email(), new_email()

    booking = f"Your booking {run(*program, service.url, organizer, user, cwd=project).rstrip()}"

    told = {
        message["Subject"].removesuffix(": Schubert by Candlelight")
        for message in mailbox.wait_for(user, count=3, seconds=60)
    }
    assert told == {booking, f"{booking} has changed", f"{booking} is cancelled"}


def test_a_python_client_books_with_types_that_hold(project: Path, service: Service, mailbox: Mailbox) -> None:
    package = ("--meta=none", "--output-path=event_booking_client")
    run("openapi-python-client", "generate", "--path=openapi.json", *package, "--fail-on-warning", cwd=project)
    run("mypy", "--strict", "--config-file=", "--follow-imports=silent", "flow.py", cwd=project)

    _go_through(project, service, mailbox, "python", "-W", "error", "flow.py")


def test_a_typescript_client_books_with_types_that_hold(project: Path, service: Service, mailbox: Mailbox) -> None:
    (project / "node_modules").symlink_to(node_modules())
    said = run("openapi-typescript", "openapi.json", "--output=api.d.ts", "--default-non-nullable=false", cwd=project)
    assert "⚠" not in said
    run("tsc", cwd=project)

    _go_through(project, service, mailbox, "node", "flow.mts")
