"""Runs the commands of compose.yaml and the Dockerfile unchanged except for the addresses of other servers."""

import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import redis

from bookings_api.local_stack.processes import ROOT, Child, free_port
from bookings_api.local_stack.servers import LocalStack, postgres_binary, valkey_binary
from tests.deployment import compose, dockerfile
from tests.http import nginx
from tests.mailbox import Mailbox


@dataclass(frozen=True)
class Tree:
    """A directory with the service's files and how to run them. `user` is the UID, None for the current user."""

    directory: Path
    environment: Mapping[str, str]
    user: int | None

    def as_user(self, command: list[str]) -> list[str]:
        """Drop root privileges, so files owned by root are read-only as in the image."""
        if self.user is None or os.geteuid() != 0:
            return command
        rights = [f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "--no-new-privs"]
        return ["setpriv", *rights, "--inh-caps=-all", "--bounding-set=-all", "--pdeathsig=TERM", *command]


class ComposeProject:
    """The services of compose.yaml as processes. A context manager that stops them."""

    def __init__(self, tree: Tree, directory: Path) -> None:
        self.tree = tree
        self.children: dict[str, Child] = {}
        self._directory = directory
        self._cleanup = ExitStack()
        self._services = compose.services()
        self.api = f"http://127.0.0.1:{free_port()}"
        self.redis_port = free_port()

    def __enter__(self) -> Self:
        with ExitStack() as unfinished:
            stack = unfinished.enter_context(LocalStack(self._directory))
            stack.start_postgres()
            stack.start_smtp_sink()
            self.mailbox = Mailbox(stack.mailbox)
            self._temporary = unfinished.enter_context(tempfile.TemporaryDirectory(prefix="bookings-tmp-"))
            Path(self._temporary).chmod(0o1777)  # like a tmpfs
            self._servers = stack.settings
            unfinished.callback(self._stop_all)
            valkey = [str(valkey_binary()), *self.command("redis")[1:], f"--port {self.redis_port}"]
            self.children["redis"] = Child("redis", valkey, log=self._directory / "redis.log")
            self.children["redis"].wait_until_ready(redis.Redis(port=self.redis_port).ping)
            self.start("migrate").wait()
            for name in ("api", "worker", "beat"):
                self.start(name)
            self.children["api"].wait_until_ready(lambda: httpx.get(f"{self.api}/health/ready").raise_for_status())
            self._cleanup = unfinished.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def _stop_all(self) -> None:
        """Also stops processes that a test has restarted."""
        for child in reversed(self.children.values()):
            child.stop()

    def command(self, name: str) -> list[str]:
        """The service's command, or else the image's."""
        return self._services[name].get("command") or dockerfile.command()

    def start(self, name: str) -> Child:
        """Start a service from the image."""
        self.children[name] = Child(
            name,
            self._with_local_addresses(self.command(name)),
            environment=self._environment(name),
            log=self._directory / f"{name}.log",
            directory=self.tree.directory,
        )
        return self.children[name]

    def is_running(self, name: str) -> bool:
        """Whether a service has started. Beat has no health check: it is ready once it handles SIGTERM (proc(5))."""
        if name == "beat":
            [caught] = re.findall(
                r"^SigCgt:\s*(\w+)$", Path(f"/proc/{self.children[name].pid}/status").read_text(), re.MULTILINE
            )
            return bool(int(caught, 16) & 1 << signal.SIGTERM - 1)
        return self.check(name).returncode == 0

    def check(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a service's health check, or the image's."""
        test = self._services[name].get("healthcheck", {}).get("test") or ["CMD", *dockerfile.health_check()]
        command = ["sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:]
        if name == "postgres":
            port = httpx.URL(self._servers["DATABASE_URL"]).port
            return _run([str(postgres_binary("pg_isready")), *command[1:], f"--port={port}"])
        return self.execute(name, command)

    def execute(self, name: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the container of a service, like `docker compose exec`."""
        return _run(self._with_local_addresses(command), env=self._environment(name), cwd=self.tree.directory)

    def nginx(self, directory: Path) -> Any:
        """Run nginx with the configuration that its compose command writes. A context manager that gives its URL."""
        configure, _, run = self.command("nginx")[2].partition(" && ")
        assert self.command("nginx")[:2] == ["sh", "-c"]
        assert run == "exec nginx -g 'daemon off;'"
        config = directory / "from-compose.conf"
        for original, local in {
            "/etc/bookings/nginx.conf": str(ROOT / "docs" / "nginx.conf"),
            "/etc/nginx/conf.d/default.conf": str(config),
        }.items():
            assert original in configure
            configure = configure.replace(original, shlex.quote(local))
        subprocess.run(["sh", "-c", configure], check=True)
        port, text = free_port(), config.read_text()
        assert ("server api:8000;" in text, "listen 8080;" in text) == (True, True)
        text = text.replace("api:8000", self.api.removeprefix("http://")).replace(
            "listen 8080", f"listen 127.0.0.1:{port}"
        )
        return nginx.serving(text, directory, port)

    def _with_local_addresses(self, command: list[str]) -> list[str]:
        api = self.api.removeprefix("http://")
        return self.tree.as_user([part.replace("0.0.0.0:8000", api).replace("127.0.0.1:8000", api) for part in command])

    def _environment(self, name: str) -> dict[str, str]:
        """The environment from compose.yaml and the image only, with the addresses of the local servers."""
        given: dict[str, str] = self._services[name]["environment"]
        servers = {
            "DATABASE_URL": ("@postgres:5432/", self._servers["DATABASE_URL"]),
            "REDIS_URL": ("//redis:6379/", f"redis://127.0.0.1:{self.redis_port}/0"),
            "MAIL_SERVER": ("mailpit", self._servers["MAIL_SERVER"]),
            "MAIL_PORT": ("1025", self._servers["MAIL_PORT"]),
        }
        for setting, (original, _) in servers.items():
            assert original in given[setting]
        local = {setting: value for setting, (_, value) in servers.items()}
        return {**self.tree.environment, **given, **local, "TMPDIR": self._temporary, "ENV_FILE": os.devnull}


def _run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)
