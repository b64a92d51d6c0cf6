"""The contents of the Dockerfile, compose.yaml and systemd units. test_commands runs their commands."""

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
def test_linters_find_no_problem(command: list[Any]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_sets_every_required_setting(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_compose_refuses_to_start_without_its_secrets(secret: str) -> None:
    with pytest.raises(compose.Unset, match=secret):
        compose.services({name: value for name, value in compose.SECRETS.items() if name != secret})


def test_only_nginx_and_the_mail_catchers_web_page_publish_ports() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"nginx": ["8080:8080"], "mailpit": ["127.0.0.1:8025:8025"]}


def test_service_containers_run_unprivileged_and_read_only() -> None:
    for service in OURS.values():
        assert service["user"] == f"{dockerfile.user()}:{dockerfile.user()}"
        assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], ["/tmp"])  # noqa: S108 - a path in the container


def test_nginx_can_write_its_configuration_and_restarts_with_the_api() -> None:
    nginx = SERVICES["nginx"]
    directory = re.findall(r"> (\S+)/default\.conf", nginx["command"][2])

    assert nginx["tmpfs"] == ["/tmp", f"{directory[0]}:uid=101,gid=101"]  # noqa: S108 - a path in the container
    assert nginx["depends_on"]["api"]["restart"] is True


def test_service_containers_start_after_the_migrations() -> None:
    for name in OURS.keys() - {"migrate"}:
        assert OURS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_service_has_a_health_check_except_migrate_and_beat() -> None:
    without = {name for name, service in SERVICES.items() if "test" not in service.get("healthcheck", {})}

    # api uses the image's health check; migrate only runs once; beat has no endpoint.
    assert without == {"api", "migrate", "beat"}


@pytest.mark.parametrize(
    "path",
    [".env", ".git/config", ".venv/bin/python", "tests/conftest.py", "bookings_api/local_stack/servers.py",
     "bookings_api/__pycache__/cli.pyc", "scripts/soak.py", "docs/nginx.conf"],
)  # fmt: skip
def test_the_image_contains_no_secrets_and_no_development_files(path: str) -> None:
    assert not dockerfile.is_included(path)


def test_the_image_contains_the_package_and_the_migrations() -> None:
    files = [path for path in (ROOT / "bookings_api").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    needed = [path for path in files if "local_stack" not in path.parts] + [*(ROOT / "migrations").rglob("*.py")]

    assert [path for path in needed if not dockerfile.is_included(str(path.relative_to(ROOT)))] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=[unit.name for unit in UNITS])
def test_systemd_accepts_the_units(unit: Path, tmp_path: Path) -> None:
    # The commands must exist, and are elsewhere on this machine.
    text = unit.read_text().replace("/opt/bookings/.venv/bin", str(BIN)).replace("/opt/bookings", str(ROOT))
    (tmp_path / unit.name).write_text(text)

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit.name],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, []), done.stderr
