"""Runs a Valkey master and replica, watched by three Sentinels."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import redis

from bookings_api.local_stack.processes import Child, free_port
from bookings_api.local_stack.servers import valkey_binary
from tests.polling import wait_until

SERVICE, PASSWORD = "bookings", "a password with a / and an @"

_VALKEY = """
bind 127.0.0.1
port {port}
dir {directory}
requirepass "{password}"
masterauth "{password}"
appendonly yes
loglevel warning
"""
_SENTINEL = """
bind 127.0.0.1
port {port}
dir {directory}
sentinel monitor {service} 127.0.0.1 {master} 2
sentinel auth-pass {service} "{password}"
sentinel down-after-milliseconds {service} 500
sentinel failover-timeout {service} 5000
"""


class Sentinels:
    """Valkey master, replica and Sentinels. A context manager that stops all of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._cleanup = ExitStack()
        self._valkeys: dict[int, Child] = {}
        self._ports = [free_port() for _ in range(3)]

    def __enter__(self) -> Self:
        master = self._start_valkey()
        self._start_valkey(f"replicaof 127.0.0.1 {master}")
        for port in self._ports:
            directory = self._directory / f"sentinel-{port}"
            directory.mkdir()
            configuration = directory / "sentinel.conf"  # Sentinel rewrites this file
            configuration.write_text(
                _SENTINEL.format(port=port, directory=directory, service=SERVICE, master=master, password=PASSWORD)
            )
            self._start("Sentinel", [valkey_binary(), configuration, "--sentinel"], directory)
        wait_until(self._are_complete, seconds=60)
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return f"redis+sentinel://default:{PASSWORD.replace('/', '%2F').replace('@', '%40')}@{hosts}/{SERVICE}/1"

    @property
    def master(self) -> int:
        """The port of the master according to the last Sentinel."""
        with redis.Redis(port=self._ports[-1], decode_responses=True) as sentinel:
            address = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(address[1])

    def kill_master(self) -> None:
        """Kill the master with SIGKILL."""
        child = self._valkeys[self.master]
        os.kill(child.pid, signal.SIGKILL)
        child.stop()

    def keys(self, pattern: str) -> list[bytes]:
        """The matching keys in the service's database on the current master."""
        with redis.Redis(port=self.master, password=PASSWORD, db=1) as valkey:
            return list(valkey.scan_iter(pattern))

    def delete(self, key: bytes) -> None:
        """Delete a key on the current master."""
        with redis.Redis(port=self.master, password=PASSWORD, db=1) as valkey:
            valkey.delete(key)

    def _are_complete(self) -> bool:
        """Whether each Sentinel knows the two others and the replica."""
        for port in self._ports:
            with redis.Redis(port=port) as sentinel:
                try:
                    known = sentinel.sentinel_master(SERVICE)
                except redis.RedisError:
                    return False
            if (known["num-other-sentinels"], known["num-slaves"]) != (2, 1):
                return False
        return True

    def _start_valkey(self, *lines: str) -> int:
        port = free_port()
        directory = self._directory / f"valkey-{port}"
        directory.mkdir()
        text = _VALKEY.format(port=port, directory=directory, password=PASSWORD) + "\n".join(lines)
        child = self._start("Valkey", [valkey_binary(), "-"], directory, configuration=text.encode())
        child.wait_until_ready(redis.Redis(port=port, password=PASSWORD).ping)
        self._valkeys[port] = child
        return port

    def _start(
        self, name: str, command: list[str | Path], directory: Path, *, configuration: bytes | None = None
    ) -> Child:
        child = Child(name, command, log=directory / "log", configuration=configuration)
        self._cleanup.callback(child.stop)
        return child
