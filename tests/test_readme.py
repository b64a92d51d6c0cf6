"""The commands in the documentation work, and the tables of settings and operations are complete."""

import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.http.openapi.document import API_PREFIX
from bookings_api.models import OutboxEmail
from config import Config
from tests.factories import make_key, make_owner
from tests.mailbox import Mailbox
from tests.service import Service

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TOUR = README.split("\n## Tour\n")[1].split("\n## ")[0] + (ROOT / "docs" / "tour.md").read_text()
DOMAIN = "tour.example.com"
PAYMENTS = (ROOT / "docs" / "payments.md").read_text()
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
INTERFACE = (ROOT / "docs" / "api.md").read_text()


@pytest.mark.usefixtures("app")
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_command_of_the_tour_works(
    service: Service, mailbox: Mailbox, database: sa.Engine, settings: dict[str, str]
) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", TOUR, re.DOTALL)
    script = "\n".join(blocks)
    # All tests share the mailbox, so use a separate domain for the people of the tour.
    replacements = {
        "http://localhost:8000": service.url,
        ".local/mail": settings["TEST_MAILBOX"],
        "@example.com": f"@{DOMAIN}",
    }
    for original, replacement in replacements.items():
        assert original in script
        script = script.replace(original, replacement)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for expected in (
        '"role":"organizer"',
        '"title":"Schubert by Candlelight"',
        '"role":"user"',
        '"ticket_count":2',
        "\n1\n",
        '"code":"sold-out"',
        "Only 1 ticket is left.",
        "\ncancelled\n",
        '"guest_name":"Grace"',
        f'"Grace","uri@{DOMAIN}","confirmed"',
        "BEGIN:VCALENDAR",
        '"description":"Doors open at 19:00."',
        '"booked_by":"Website","external_id":"order-1797"',
        "on\nwaitlisted\ncancelled\n",
        f'"guest_name":"Mary","guest_email":"mary@{DOMAIN}","status":"confirmed"',
        '"code":"stale-version"',
        f'"email":"colleague@{DOMAIN}"',
        '"code":"unauthenticated"',
        '"kind":"booking_cancelled"',
        '"status":"sent"',
    ):
        assert expected in done.stdout
    first, second = re.findall(r"^[3-9A-Y]{10}$", done.stdout, re.MULTILINE)
    assert first == second
    subjects = {str(email["Subject"]).split(":")[0].split(" ")[0] for email in mailbox.to(f"uri@{DOMAIN}")}
    assert subjects == {"Verify", "Your", "Changed", "Cancelled"}
    emails = sa.select(OutboxEmail.status, OutboxEmail.last_error).where(OutboxEmail.recipient == f"uri@{DOMAIN}")
    with database.connect() as connection:
        written = connection.execute(emails).all()
    # the tour's changes follow each other quickly, and each can make a waiting email outdated
    dropped = [reason for status, reason in written if status == "dropped"]
    assert len(written) == 7
    assert len(mailbox.to(f"uri@{DOMAIN}")) == 7 - len(dropped)
    assert set(dropped) <= {"A later email describes the booking.", "The booking was cancelled."}
    assert len(mailbox.to(f"colleague@{DOMAIN}")) == 1
    assert "\nSubject: Cancelled: Schubert by Candlelight" in done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_command_of_the_payments_page_works(service: Service, client: FlaskClient) -> None:
    key = make_key(client, make_owner(client), scopes=["events:write", "bookings:read", "bookings:write"])
    blocks = re.findall(r"```sh\n(.*?)```", PAYMENTS, re.DOTALL)
    script = "\n".join([f"API={service.api}", f"KEY={key.token}", *blocks])

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for expected in (
        '"price":1800',
        '"status":"held"',
        '"amount_due":3600,"currency":"EUR"',
        "confirmed\nconfirmed\nalready-paid\nTrue\n",
        '"refusal":null,"amount_to_refund":1800',
        '"refusal":"already_paid","amount_to_refund":3600',
    ):
        assert expected in done.stdout


def _documented() -> set[str]:
    return set(re.findall(r"`([A-Z][A-Z0-9_]+)`", "\n".join(re.findall(r"^\| (.*?) \|", CONFIGURATION, re.MULTILINE))))


def test_the_table_of_settings_is_complete() -> None:
    assert _documented() == set(Config.__dataclass_fields__)


def test_the_example_env_file_contains_exactly_the_required_settings() -> None:
    required = {
        name for line in CONFIGURATION.splitlines() if "| required |" in line
        for name in re.findall(r"`([A-Z_]+)`", line.split("|")[1])
    }  # fmt: skip
    example = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)

    assert set(example) == required


def test_the_table_of_operations_matches_the_openapi_document(service: Service) -> None:
    documented = {
        f"{method.upper()} {path.removeprefix(API_PREFIX)}"
        for path, item in httpx.get(f"{service.api}/openapi.json").json()["paths"].items()
        for method in item.keys() - {"parameters"}
    }
    listed = set()
    for row in re.findall(r"^\| (`.*?) \|", INTERFACE, re.MULTILINE):
        method, paths = row.strip("`").replace("`", "").split(" ", 1)
        listed |= {f"{method} {path.strip()}" for path in paths.split(",")}

    assert listed == {re.sub(r"{\w+_id}", "{id}", operation) for operation in documented}
