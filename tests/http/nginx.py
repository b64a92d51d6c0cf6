"""nginx with docs/nginx.conf, run as the current user and without TLS."""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bookings_api.local_stack.processes import ROOT, Child, free_port

_NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_nginx = pytest.mark.skipif(_NGINX is None, reason="this machine has no nginx")

# Main configuration, with paths relative to the test directory. One worker process, so that the next request reuses
# the idle connection to gunicorn.
_MAIN_CONFIG = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
    access_log off;
    # compresses the responses of sites that don't say otherwise, as on many servers
    gzip on;
    gzip_types application/json;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include site.conf;
}
"""


@contextmanager
def running_nginx(directory: Path, upstream: int) -> Iterator[str]:
    """Run nginx in front of the port `upstream` and yield its URL."""
    port = free_port()
    site = (ROOT / "docs" / "nginx.conf").read_text()
    for pattern, test_value in {
        r"server 127\.0\.0\.1:8000;": f"server 127.0.0.1:{upstream};",
        r"listen 443 ssl;": f"listen 127.0.0.1:{port};",
        r"\n +ssl_.+": "",
    }.items():
        site, count = re.subn(pattern, test_value, site)
        assert count, f"docs/nginx.conf has no {pattern}"
    with serving(site, directory, port) as url:
        yield url


@contextmanager
def serving(site: str, directory: Path, port: int) -> Iterator[str]:
    """Run nginx with this site configuration, which listens on `port`, and yield its URL."""
    (directory / "site.conf").write_text(site)
    (directory / "nginx.conf").write_text(_MAIN_CONFIG)
    command = [str(_NGINX), "-p", str(directory), "-c", "nginx.conf"]
    # not as root, because the worker process would switch to an account that cannot read the directory
    nginx = Child("nginx", command, log=directory / "nginx.log", unprivileged=True)
    try:
        nginx.wait_until_ready(lambda: socket.create_connection(("127.0.0.1", port)).close())
        yield f"http://127.0.0.1:{port}"
    finally:
        nginx.stop()
