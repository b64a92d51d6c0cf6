"""Clients for scripts/soak: people who sign up, look around, book and change their minds, and organizers."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx

from tests.factories import EVENT, PASSWORD, new_email
from tests.faults.checker import History

# How long a client asks for one booking before it gives up, and how often.
BOOK_SECONDS, RETRY_SECONDS = 40, 0.2
PAUSE_SECONDS = 0.05
MAX_OPEN_EVENTS = 12


class World:
    """What all clients share: the events on sale, and what they were answered."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/api/v1"
        self.history = History()
        self.answers: Counter[str] = Counter()
        self.slowest = 0.0
        self.events: list[str] = []
        self._lock = threading.Lock()

    def note(self, operation: str, status: str, seconds: float) -> None:
        with self._lock:
            self.answers[f"{operation:<14} {status}"] += 1
            self.slowest = max(self.slowest, seconds)

    @staticmethod
    def is_wrong(answer: str) -> bool:
        """A defect, a login that was forgotten, or something that clients of this kind are not told."""
        return answer.rsplit(maxsplit=1)[-1] in {"500", "502", "504", "400", "401", "403", "404", "405", "415", "422"}


class Client:
    """One person, who organizes events, too; everything that is random comes from `chance`."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._http = httpx.Client(base_url=world.url, timeout=60)
        self._bookings: list[str] = []
        self._account = {"email": "", "password": PASSWORD}

    def run(self, enough: threading.Event) -> None:
        """Do one thing after the other."""
        self._until_done(self._sign_up)
        self._until_done(self._log_in)
        self._until_done(self._create_event)
        wishes: dict[Callable[[], object], int] = {
            self._book: 50, self._list: 18, self._change: 9, self._cancel: 9, self._publish: 4, self._create_event: 2,
            self._log_in: 4, self._sign_up_friend: 2, self._cancel_event: 2,
        }  # fmt: skip
        while not enough.is_set():
            (wish,) = self._chance.choices(list(wishes), list(wishes.values()))
            wish()
            time.sleep(self._chance.uniform(0, 2 * PAUSE_SECONDS))

    def _until_done(self, wish: Callable[[], object]) -> None:
        while not wish():
            time.sleep(RETRY_SECONDS)

    def _call(self, operation: str, method: str, path: str, **options: Any) -> httpx.Response | None:
        """The answer; None for a connection that broke."""
        began = time.monotonic()
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError:
            self._world.note(operation, "no answer", time.monotonic() - began)
            return None
        self._world.note(operation, str(answer.status_code), time.monotonic() - began)
        return answer

    def _sign_up(self) -> bool:
        """An address of its own for each attempt: one without an answer may have worked."""
        self._account["email"] = new_email()
        answer = self._call("sign up", "POST", "/auth/signup", json={**self._account, "is_organizer": True})
        return answer is not None and answer.status_code == httpx.codes.CREATED

    def _sign_up_friend(self) -> None:
        self._call("sign up", "POST", "/auth/signup", json={"email": new_email(), "password": PASSWORD})

    def _log_in(self) -> bool:
        answer = self._call("log in", "POST", "/auth/login", json=self._account)
        if answer is None or not answer.is_success:
            return False
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return True

    def _list(self) -> None:
        path = self._chance.choice(["/events/", "/events/all", "/bookings/", "/users/me"])
        self._call("list", "GET", path)

    def _create_event(self, **changes: Any) -> bool:
        if len(self._world.events) >= MAX_OPEN_EVENTS:
            return True
        body = {**EVENT, "capacity": self._chance.randint(5, 400), **changes}
        answer = self._call("create event", "POST", "/events/", json=body)
        if answer is None or answer.status_code != httpx.codes.CREATED:
            return False
        event = answer.json()["id"]
        if "status" in changes:
            published = self._call("publish", "POST", f"/events/{event}/publish")
            if published is None or not published.is_success:
                return False
        self._world.events.append(event)
        return True

    def _publish(self) -> None:
        self._create_event(status="draft")

    def _cancel_event(self) -> None:
        mine = self._call("list", "GET", "/users/me")
        if mine is None or not mine.is_success:
            return
        found = self._call("list", "GET", "/events/", params={"organizer_id": mine.json()["id"]})
        if found is not None and found.is_success and len(found.json()) > 1:
            event = self._chance.choice(found.json())["id"]
            self._call("cancel event", "POST", f"/events/{event}/cancel")
            if event in self._world.events:
                self._world.events.remove(event)

    def _book(self) -> None:
        """One booking under one key, asked for until it is known what became of it."""
        event = self._chance.choice(self._world.events or [""])
        if not event:
            return
        key = str(UUID(int=self._chance.getrandbits(128), version=4))
        order = {"event_id": event, "ticket_count": self._chance.randint(1, 3)}
        self._world.history.ask(key)
        gives_up = time.monotonic() + BOOK_SECONDS
        while time.monotonic() < gives_up:
            answer = self._call("book", "POST", "/bookings/", json=order, headers={"Idempotency-Key": key})
            if self._world.history.note(key, answer):
                if answer is not None and answer.status_code == httpx.codes.CREATED:
                    self._bookings.append(answer.json()["id"])
                return
            time.sleep(RETRY_SECONDS)

    def _change(self) -> None:
        if self._bookings:
            booking = self._chance.choice(self._bookings)
            self._call("change", "PATCH", f"/bookings/{booking}", json={"ticket_count": self._chance.randint(1, 4)})

    def _cancel(self) -> None:
        if self._bookings:
            booking = self._bookings.pop(self._chance.randrange(len(self._bookings)))
            self._call("cancel", "DELETE", f"/bookings/{booking}")
