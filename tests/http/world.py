"""The people and things of the document's examples, as they are in a service that a test runs."""

import json
import re
from typing import Any, TypeVar

import httpx

from bookings_api.http.openapi.examples import (
    ACCESS_TOKEN,
    BOOKING_ID,
    COLLEAGUE_EMAIL,
    EVENT_ID,
    GRACE_EMAIL,
    MAILED_TOKEN,
    OLIVIA_ID,
    REFERENCE,
    REFRESH_TOKEN,
    URI_EMAIL,
    URI_ID,
)
from tests.documented import OPERATIONS, Operation
from tests.factories import new_email
from tests.mailbox import Mailbox, part
from tests.polling import wait_until

# Operations that Olivia does; Uri does the others that need a login.
OLIVIAS = {
    "listUsers", "inviteUser", "getUser", "changeUser", "deactivateUser",
    "createEvent", "changeEvent", "deleteEvent", "publishEvent", "cancelEvent", "listAttendees",
}  # fmt: skip

# Those that come before anybody has booked.
BEFORE_BOOKING = {"createBooking", "publishEvent"}

IN_PATHS = {"user_id": URI_ID, "event_id": EVENT_ID, "booking_id": BOOKING_ID}

T = TypeVar("T")


class World:
    """Sends requests of the document, with what there really is in place of what it shows."""

    def __init__(self, client: httpx.Client, mailbox: Mailbox) -> None:
        self._client = client
        self._mailbox = mailbox
        self._real = {address: new_email() for address in (URI_EMAIL, GRACE_EMAIL, COLLEAGUE_EMAIL)}
        self._logins: dict[str, dict[str, str]] = {}

    def real(self, shown: T) -> T:
        """`shown`, which is a part of the document, with what the world has in its place."""
        text = json.dumps(shown)
        for documented, here in self._real.items():
            text = text.replace(documented, here)
        found: T = json.loads(text)
        return found

    def prepare_for(self, operation_id: str, status: int) -> None:
        """Have happened what comes before: accounts, the event, the booking, and what the operation needs."""
        if operation_id == "signup":
            return
        self._real[URI_ID] = self._done("signup")["id"]
        self._log_in("Uri", self._real[URI_EMAIL])
        olivia = new_email()
        self._real[OLIVIA_ID] = self._done("signup", email=olivia, name="Olivia", is_organizer=True)["id"]
        self._log_in("Olivia", olivia)
        draft = {"status": "draft"} if operation_id == "publishEvent" else {}
        self._real[EVENT_ID] = self._done("createEvent", **draft)["id"]
        if operation_id not in BEFORE_BOOKING:
            booking = self._done("createBooking")
            self._real |= {BOOKING_ID: booking["id"], REFERENCE: booking["reference"]}
        match operation_id:
            case "acceptInvitation":
                self._done("inviteUser")
                self._open_mail_to(COLLEAGUE_EMAIL)
            case "confirmPasswordReset":
                self._done("requestPasswordReset")
                self._open_mail_to(URI_EMAIL)
            case "inviteUser" if status == httpx.codes.OK:
                self._done("inviteUser")
            case "listBookingEmails":
                wait_until(lambda: self.send(OPERATIONS[operation_id]).json()[0]["status"] == "sent", seconds=20)

    def send(self, operation: Operation, *, accept: str | None = None, **changes: Any) -> httpx.Response:
        """The answer to the operation's documented request; `changes` replace members of its body."""
        names = re.findall(r"\{(\w+)\}", operation.path)
        request: dict[str, Any] = {"headers": self._headers(operation)}
        if accept:
            request["headers"]["Accept"] = accept
        for kind, body in operation.doc.get("requestBody", {}).get("content", {}).items():
            request["json" if kind == "application/json" else "data"] = self.real(body["example"]) | changes
        path = operation.path.format_map({name: self._real[IN_PATHS[name]] for name in names})
        return self._client.request(operation.method, path, **request)

    def _headers(self, operation: Operation) -> dict[str, str]:
        ways = [name for way in operation.doc["security"] for name in way]
        if not ways:
            return {}
        token = REFRESH_TOKEN if "refresh" in ways else ACCESS_TOKEN
        return {"Authorization": f"Bearer {self._logins['Olivia' if operation.id in OLIVIAS else 'Uri'][token]}"}

    def _done(self, operation_id: str, **changes: Any) -> Any:
        answer = self.send(OPERATIONS[operation_id], **changes)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def _log_in(self, name: str, email: str) -> None:
        tokens = self._done("login", email=email)
        self._logins[name] = {ACCESS_TOKEN: tokens["access_token"], REFRESH_TOKEN: tokens["refresh_token"]}

    def _open_mail_to(self, documented: str) -> None:
        """Take the token out of the mail."""
        [mail] = self._mailbox.wait_for(self._real[documented], seconds=20)
        [self._real[MAILED_TOKEN]] = re.findall(r"it works once:\s+(\S+)", part(mail, "plain"))
