"""Recreates the accounts, event and booking of the OpenAPI examples in a running service."""

import json
import re
from email.message import EmailMessage
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa

from bookings_api.http.openapi.examples import (
    ACCESS_TOKEN,
    API_KEY_ID,
    BOOKING_ID,
    COLLEAGUE,
    COLLEAGUE_EMAIL,
    EMAILED_TOKEN,
    EVENT_ID,
    GRACE_EMAIL,
    OLIVIA_ID,
    ORGANIZATION_ID,
    PAYMENT_REFERENCE,
    REFERENCE,
    REFRESH_TOKEN,
    TICKET_TYPE_ID,
    URI_EMAIL,
    URI_ID,
)
from bookings_api.models import MemberRole, Membership
from bookings_api.models.ticket_type import DEFAULT_TYPE_NAME
from tests.documented import OPERATIONS, Operation
from tests.factories import new_email
from tests.mailbox import Mailbox, part
from tests.polling import wait_until

# Operations that Olivia, the organizer, sends; Uri sends the others that need a login.
ORGANIZER_OPERATIONS = {
    "listUsers", "inviteUser", "getUser", "changeUser", "deactivateUser",
    "createEvent", "changeEvent", "deleteEvent", "publishEvent", "cancelEvent", "listAttendees",
    "listWaitingList", "listPayments", "confirmBooking",
    "listTicketTypes", "createTicketType", "changeTicketType", "deleteTicketType", "getCapacity",
    "listOrganizations", "getOrganization", "changeOrganization",
    "listTeam", "addTeamMember", "getTeamMember", "changeTeamMember", "removeTeamMember",
    "transferEvent", "getDoorList",
    "listApiKeys", "createApiKey", "getApiKey", "changeApiKey", "revokeApiKey", "rotateApiKey",
}  # fmt: skip

# Operations whose example precedes the booking.
BEFORE_BOOKING = {"createBooking", "publishEvent", "createTicketType"}

# Operations and examples that need a booking with a price, and those that need a waiting list.
PRICED = {"held", "listPayments", "confirmBooking", "extendBooking"}
WAITING = {"waitlisted", "listWaitingList"}

# Operations whose example needs a person on the team.
TEAM_OPERATIONS = {"listTeam", "getTeamMember", "changeTeamMember", "removeTeamMember"}

# Operations whose example needs an API key.
KEY_OPERATIONS = {"listApiKeys", "getApiKey", "changeApiKey", "revokeApiKey", "rotateApiKey"}

# What a program adds to the example of a booking.
ORDER_OF_KEY = {"external_id": "order-1797", "metadata": {"source": "website"}}

PATH_PARAMETERS = {
    "user_id": URI_ID,
    "event_id": EVENT_ID,
    "booking_id": BOOKING_ID,
    "organization_id": ORGANIZATION_ID,
    "key_id": API_KEY_ID,
    "type_id": TICKET_TYPE_ID,
}

T = TypeVar("T")


class World:
    """Sends the documented requests with the real values in place of the documented ones."""

    def __init__(self, client: httpx.Client, mailbox: Mailbox, database: sa.Engine) -> None:
        self._client = client
        self._mailbox = mailbox
        self._database = database
        self._real = {address: new_email() for address in (URI_EMAIL, GRACE_EMAIL, COLLEAGUE_EMAIL)}
        self._real[PAYMENT_REFERENCE] = uuid4().hex
        self._secret: str | None = None  # of the API key that books, if any
        self._order: dict[str, Any] = {}  # added to the example of a booking
        self._query: dict[str, str] = {}
        self._logins: dict[str, dict[str, str]] = {}

    def real(self, part: T) -> T:
        """Return a part of the document with real values in place of the documented ones."""
        text = json.dumps(part)
        for documented, actual in self._real.items():
            text = text.replace(documented, actual)
        result: T = json.loads(text)
        return result

    def prepare_for(self, operation_id: str, status: int, example: str | None) -> None:
        """Create the accounts, event and booking, and whatever else the operation and its named example need."""
        if operation_id == "signup":
            return
        self._real[URI_ID] = self._run("signup")["id"]
        self._log_in("Uri", self._real[URI_EMAIL])
        olivia = new_email()
        self._real[OLIVIA_ID] = self._run("signup", email=olivia, name="Olivia", is_organizer=True)["id"]
        self._log_in("Olivia", olivia)
        [organization] = self._run("listOrganizations")
        self._real[ORGANIZATION_ID] = organization["id"]
        purpose = example or operation_id
        self._create_event(purpose)
        is_by_key = purpose == "existing"
        if operation_id in KEY_OPERATIONS or is_by_key:
            key = self._run("createApiKey")
            self._real[API_KEY_ID] = key["id"]
            if is_by_key:
                self._secret, self._order = key["secret"], ORDER_OF_KEY
        if operation_id not in BEFORE_BOOKING or is_by_key or purpose == "waitlisted":
            self._book()
        if operation_id in TEAM_OPERATIONS or (operation_id == "addTeamMember" and status == httpx.codes.OK):
            self._run("addTeamMember")
        if operation_id == "deleteTicketType":
            self._real[TICKET_TYPE_ID] = self._run("createTicketType")["id"]
        self._prepare_order(purpose)
        self._prepare_rest(operation_id, status)

    def _create_event(self, purpose: str) -> None:
        """Create an event with a single ticket type, which has a price if the purpose needs one."""
        draft = {"status": "draft"} if purpose == "publishEvent" else {}
        sales = {"currency": "EUR"} if purpose in PRICED else {"waitlist": "on"} if purpose in WAITING else {}
        event = self._run("createEvent", **draft, **sales)
        self._real |= {EVENT_ID: event["id"], ORGANIZATION_ID: event["organization_id"]}
        [ticket_type] = self._run("listTicketTypes")
        self._real[TICKET_TYPE_ID] = ticket_type["id"]
        if purpose in PRICED:
            self._run("changeTicketType", name=DEFAULT_TYPE_NAME, capacity=None, price=1800)

    def _book(self) -> None:
        booking = self._run("createBooking")
        self._real |= {BOOKING_ID: booking["id"], REFERENCE: booking["reference"]}

    def _prepare_order(self, purpose: str) -> None:
        match purpose:
            case "preview":
                self._query = {"dry_run": "true"}
            case "waitlisted":
                self._order = {"waitlist": True}
            case "listWaitingList":
                self._order = {"waitlist": True}
                self._book()
            case "listPayments":
                self._run("confirmBooking")

    def _prepare_rest(self, operation_id: str, status: int) -> None:
        match operation_id:
            case "acceptInvitation":
                self._run("inviteUser")
                self._read_token_sent_to(COLLEAGUE_EMAIL, "You are invited to Event Booking")
            case "confirmPasswordReset":
                self._run("requestPasswordReset")
                self._read_token_sent_to(URI_EMAIL, "Reset your password")
            case "verifyEmail":
                self._read_token_sent_to(URI_EMAIL, "Verify your email")
            case "changeUser":
                self._read_token_sent_to(URI_EMAIL, "Verify your email")
                self._run("verifyEmail")
            case "inviteUser" if status == httpx.codes.OK:
                self._run("inviteUser")
            case "exportAccount":
                wait_until(lambda: self._are_sent(self.send(OPERATIONS[operation_id]).json()["emails"]), seconds=20)
            case "transferEvent":
                self._real[COLLEAGUE["id"]] = self._run("inviteUser")["id"]
                self._read_token_sent_to(COLLEAGUE_EMAIL, "You are invited to Event Booking")
                self._run("acceptInvitation")
            case "changeOrganization":
                self._make_owner(self._real[OLIVIA_ID])
            case "listBookingEmails":
                wait_until(lambda: self.send(OPERATIONS[operation_id]).json()[0]["status"] == "sent", seconds=20)

    def send(self, operation: Operation, *, accept: str | None = None, **changes: Any) -> httpx.Response:
        """Send the operation's documented request; `changes` replace members of its body."""
        names = re.findall(r"\{(\w+)\}", operation.path)
        request: dict[str, Any] = {"headers": self._headers(operation)}
        if accept:
            request["headers"]["Accept"] = accept
        for kind, body in operation.doc.get("requestBody", {}).get("content", {}).items():
            request["json" if kind == "application/json" else "data"] = self.real(body["example"]) | changes
        if operation.id == "createBooking":
            request["json"] |= self._order
            request["params"] = self._query
            if self._secret:
                request["headers"]["Authorization"] = f"Bearer {self._secret}"
        path = operation.path.format_map({name: self._real[PATH_PARAMETERS[name]] for name in names})
        return self._client.request(operation.method, path, **request)

    def _headers(self, operation: Operation) -> dict[str, str]:
        schemes = [name for requirement in operation.doc["security"] for name in requirement]
        if not schemes:
            return {}
        token = REFRESH_TOKEN if "refresh" in schemes else ACCESS_TOKEN
        account = "Olivia" if operation.id in ORGANIZER_OPERATIONS else "Uri"
        return {"Authorization": f"Bearer {self._logins[account][token]}"}

    @staticmethod
    def _are_sent(emails: list[dict[str, Any]]) -> bool:
        return all(email["status"] == "sent" for email in emails)

    def _run(self, operation_id: str, **changes: Any) -> Any:
        response = self.send(OPERATIONS[operation_id], **changes)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def _make_owner(self, user_id: str) -> None:
        """Make an organizer an owner, as an operator could."""
        with self._database.begin() as connection:
            membership = sa.update(Membership).where(Membership.user_id == UUID(user_id))
            connection.execute(membership.values(role=MemberRole.OWNER))

    def _log_in(self, name: str, email: str) -> None:
        tokens = self._run("login", email=email)
        self._logins[name] = {ACCESS_TOKEN: tokens["access_token"], REFRESH_TOKEN: tokens["refresh_token"]}

    def _read_token_sent_to(self, documented: str, subject: str) -> None:
        def find() -> list[EmailMessage]:
            received = self._mailbox.to(self._real[documented])
            return [message for message in received if message["Subject"] == subject]

        wait_until(lambda: bool(find()), seconds=20)
        [message] = find()
        [self._real[EMAILED_TOKEN]] = re.findall(r"It works once\.\s+(\S+)", part(message, "plain"))
