"""Concurrency and startup warnings of gunicorn."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.factories import PASSWORD, new_email
from tests.polling import wait_until
from tests.service import Service, running_server

WARNING = "2 processes may need"


def test_hashing_a_password_does_not_block_other_requests(settings: dict[str, str], tmp_path: Path) -> None:
    costly = {"WEB_CONCURRENCY": "1", "ARGON2_MEMORY_KIB": "65536", "ARGON2_TIME_COST": "40"}
    login = {"email": new_email(), "password": PASSWORD}
    with running_server(settings | costly, tmp_path) as url, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(httpx.post, f"{url}/api/v1/auth/login", json=login, timeout=60)
        time.sleep(0.3)
        others = [httpx.get(f"{url}/health/live", timeout=60).status_code for _ in range(3)]
        is_still_hashing = not slow.done()

    assert others == [200, 200, 200]
    assert is_still_hashing
    assert slow.result().status_code == 401


def test_a_pool_that_exceeds_max_connections_is_logged_once(settings: dict[str, str], tmp_path: Path) -> None:
    # the PostgreSQL of the test run allows 300 connections
    with running_server(settings | {"WEB_CONCURRENCY": "2", "DATABASE_POOL_SIZE": "150"}, tmp_path):
        (log,) = tmp_path.glob("*.log")
        wait_until(lambda: WARNING in log.read_text(), seconds=10)
    assert log.read_text().count(WARNING) == 1


def test_a_pool_within_max_connections_is_not_logged(service: Service) -> None:
    assert not [line for line in service.log_lines() if WARNING in line["message"]]
