"""Load for scripts/soak: simulated users sign up, browse, book, change and cancel bookings, and organize events."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx

from tests.factories import EVENT, PASSWORD, new_email
from tests.faults.invariants import History
from tests.http_client import http_client

# How long a client retries a booking, and how often.
BOOK_SECONDS, RETRY_SECONDS = 40, 0.2
PAUSE_SECONDS = 0.05
MAX_OPEN_EVENTS = 12


class SharedState:
    """Events on sale and responses received, shared by all simulated users."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/api/v1"
        self.history = History()
        self.responses: Counter[str] = Counter()
        self.slowest = 0.0
        self.events: list[str] = []
        self._lock = threading.Lock()

    def record(self, operation: str, status: str, seconds: float) -> None:
        with self._lock:
            self.responses[f"{operation:<14} {status}"] += 1
            self.slowest = max(self.slowest, seconds)

    @staticmethod
    def is_wrong(response: str) -> bool:
        """Whether no fault explains this response: a server error or a refusal of a valid request."""
        return response.rsplit(maxsplit=1)[-1] in {"500", "502", "504", "400", "401", "403", "404", "405", "415", "422"}


class SimulatedUser:
    """Books and organizes events. `rng` is the only source of randomness."""

    def __init__(self, shared: SharedState, rng: random.Random) -> None:
        self._shared = shared
        self._rng = rng
        self._http = http_client(shared.url)
        self._bookings: list[str] = []
        self._account = {"email": "", "password": PASSWORD}

    def run(self, finished: threading.Event) -> None:
        """Perform random actions until `finished` is set."""
        self._repeat_until_done(self._sign_up)
        self._repeat_until_done(self._log_in)
        self._repeat_until_done(self._create_event)
        actions: dict[Callable[[], object], int] = {
            self._book: 50, self._list: 18, self._change: 9, self._cancel: 9, self._publish: 4, self._create_event: 2,
            self._log_in: 4, self._sign_up_friend: 2, self._cancel_event: 2,
        }  # fmt: skip
        while not finished.is_set():
            (action,) = self._rng.choices(list(actions), list(actions.values()))
            action()
            time.sleep(self._rng.uniform(0, 2 * PAUSE_SECONDS))

    def _repeat_until_done(self, action: Callable[[], object]) -> None:
        while not action():
            time.sleep(RETRY_SECONDS)

    def _call(self, operation: str, method: str, path: str, **options: Any) -> httpx.Response | None:
        """Send a request. Returns None for a broken connection."""
        began = time.monotonic()
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError:
            self._shared.record(operation, "no response", time.monotonic() - began)
            return None
        self._shared.record(operation, str(response.status_code), time.monotonic() - began)
        return response

    def _sign_up(self) -> bool:
        """Use a new address for each attempt, because an attempt without a response may have succeeded."""
        self._account["email"] = new_email()
        response = self._call("sign up", "POST", "/auth/signup", json={**self._account, "is_organizer": True})
        return response is not None and response.status_code == httpx.codes.CREATED

    def _sign_up_friend(self) -> None:
        self._call("sign up", "POST", "/auth/signup", json={"email": new_email(), "password": PASSWORD})

    def _log_in(self) -> bool:
        response = self._call("log in", "POST", "/auth/login", json=self._account)
        if response is None or not response.is_success:
            return False
        self._http.headers["Authorization"] = f"Bearer {response.json()['access_token']}"
        return True

    def _list(self) -> None:
        path = self._rng.choice(["/events/", "/events/all", "/bookings/", "/users/me"])
        self._call("list", "GET", path)

    def _create_event(self, **changes: Any) -> bool:
        if len(self._shared.events) >= MAX_OPEN_EVENTS:
            return True
        body = {**EVENT, "capacity": self._rng.randint(5, 400), **changes}
        response = self._call("create event", "POST", "/events/", json=body)
        if response is None or response.status_code != httpx.codes.CREATED:
            return False
        event = response.json()["id"]
        if "status" in changes:
            published = self._call("publish", "POST", f"/events/{event}/publish")
            if published is None or not published.is_success:
                return False
        self._shared.events.append(event)
        return True

    def _publish(self) -> None:
        self._create_event(status="draft")

    def _cancel_event(self) -> None:
        mine = self._call("list", "GET", "/users/me")
        if mine is None or not mine.is_success:
            return
        found = self._call("list", "GET", "/events/", params={"organizer_id": mine.json()["id"]})
        if found is not None and found.is_success and len(found.json()) > 1:
            event = self._rng.choice(found.json())["id"]
            self._call("cancel event", "POST", f"/events/{event}/cancel")
            if event in self._shared.events:
                self._shared.events.remove(event)

    def _book(self) -> None:
        """Book with one Idempotency-Key, retrying until the outcome is known."""
        event = self._rng.choice(self._shared.events or [""])
        if not event:
            return
        key = str(UUID(int=self._rng.getrandbits(128), version=4))
        body = {"event_id": event, "ticket_count": self._rng.randint(1, 3)}
        self._shared.history.record_request(key)
        deadline = time.monotonic() + BOOK_SECONDS
        while time.monotonic() < deadline:
            response = self._call("book", "POST", "/bookings/", json=body, headers={"Idempotency-Key": key})
            if self._shared.history.record_response(key, response):
                if response is not None and response.status_code == httpx.codes.CREATED:
                    self._bookings.append(response.json()["id"])
                return
            time.sleep(RETRY_SECONDS)

    def _change(self) -> None:
        if self._bookings:
            booking = self._rng.choice(self._bookings)
            self._call("change", "PATCH", f"/bookings/{booking}", json={"ticket_count": self._rng.randint(1, 4)})

    def _cancel(self) -> None:
        if self._bookings:
            booking = self._bookings.pop(self._rng.randrange(len(self._bookings)))
            self._call("cancel", "DELETE", f"/bookings/{booking}")
