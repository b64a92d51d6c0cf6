"""Dockerfile, compose.yaml and systemd units as linters and readers see them; test_commands runs what they run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bookings_api.local_stack.processes import ROOT
from config import Config
from tests.deployment import compose, dockerfile

BIN = Path(sys.executable).parent
SERVICES = compose.services()
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
UNITS = sorted((ROOT / "docs" / "systemd").glob("*.service"))
REQUIRED = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    "command",
    [
        [BIN / "hadolint", "Dockerfile"],
        [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
    ],
    ids=["hadolint", "compose-spec"],
)
def test_a_linter_has_nothing_to_say(command: list[Any]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_gives_the_service_every_setting_that_has_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Config.__dataclass_fields__:
        monkeypatch.delenv(name, raising=False)
    for service in OURS.values():
        assert service["environment"].keys() >= REQUIRED
        for name, value in service["environment"].items():
            monkeypatch.setenv(name, value)
        config = Config.from_environment(Path(os.devnull))

        assert {name: str(getattr(config, name)) for name in ("TRUSTED_PROXIES", "MAIL_PORT")} == {
            "TRUSTED_PROXIES": "1",
            "MAIL_PORT": "1025",
        }


@pytest.mark.parametrize("secret", compose.SECRETS)
def test_compose_starts_nothing_without_its_secrets(secret: str) -> None:
    with pytest.raises(compose.Unset, match=secret):
        compose.services({name: value for name, value in compose.SECRETS.items() if name != secret})


def test_nothing_but_nginx_and_the_page_of_the_mail_catcher_can_be_reached_from_outside() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"nginx": ["8080:8080"], "mailpit": ["127.0.0.1:8025:8025"]}


def test_the_processes_of_the_service_have_as_little_as_they_need() -> None:
    for service in OURS.values():
        assert service["user"] == f"{dockerfile.user()}:{dockerfile.user()}"
        assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], ["/tmp"])  # noqa: S108


def test_nginx_may_write_its_configuration_and_is_started_anew_with_the_api() -> None:
    nginx = SERVICES["nginx"]
    directory = re.findall(r"> (\S+)/default\.conf", nginx["command"][2])

    assert nginx["tmpfs"] == ["/tmp", f"{directory[0]}:uid=101,gid=101"]  # noqa: S108
    assert nginx["depends_on"]["api"]["restart"] is True


def test_every_process_waits_for_the_migrations() -> None:
    for name in OURS.keys() - {"migrate"}:
        assert OURS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_service_says_how_it_is_unless_it_has_nobody_to_ask() -> None:
    without = {name for name, service in SERVICES.items() if "test" not in service.get("healthcheck", {})}

    # the image's own; done when it is done; answers nobody
    assert without == {"api", "migrate", "beat"}


@pytest.mark.parametrize(
    "path",
    [".env", ".git/config", ".venv/bin/python", "tests/conftest.py", "bookings_api/local_stack/servers.py",
     "bookings_api/__pycache__/cli.pyc", "scripts/soak.py", "docs/nginx.conf"],
)  # fmt: skip
def test_the_image_gets_no_secret_and_nothing_of_a_developers(path: str) -> None:
    assert not dockerfile.is_sent(path)


def test_the_image_gets_what_the_service_is_made_of() -> None:
    files = [path for path in (ROOT / "bookings_api").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    needed = [path for path in files if "local_stack" not in path.parts] + [*(ROOT / "migrations").rglob("*.py")]

    assert [path for path in needed if not dockerfile.is_sent(str(path.relative_to(ROOT)))] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd")
@pytest.mark.parametrize("unit", UNITS, ids=[unit.name for unit in UNITS])
def test_systemd_understands_the_units(unit: Path, tmp_path: Path) -> None:
    # what it starts must exist, and is at another place here
    text = unit.read_text().replace("/opt/bookings/.venv/bin", str(BIN)).replace("/opt/bookings", str(ROOT))
    (tmp_path / unit.name).write_text(text)

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit.name],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, []), done.stderr
