"""What one process of gunicorn does at once."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.factories import PASSWORD, new_email
from tests.service import running_server


def test_while_a_password_is_hashed_other_requests_are_answered(settings: dict[str, str], tmp_path: Path) -> None:
    costly = {"WEB_CONCURRENCY": "1", "ARGON2_MEMORY_KIB": "65536", "ARGON2_TIME_COST": "40"}
    login = {"email": new_email(), "password": PASSWORD}
    with running_server(settings | costly, tmp_path) as url, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(httpx.post, f"{url}/api/v1/auth/login", json=login, timeout=60)
        time.sleep(0.3)
        others = [httpx.get(f"{url}/health/live", timeout=60).status_code for _ in range(3)]
        is_hashed_still = not slow.done()

    assert others == [200, 200, 200]
    assert is_hashed_still
    assert slow.result().status_code == 401
