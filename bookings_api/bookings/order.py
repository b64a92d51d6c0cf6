"""An order, the facts that determine whether it can be booked, and the resulting plan."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from uuid import UUID

from bookings_api.bookings.items import OrderedItem
from bookings_api.inventory.availability import Item
from bookings_api.inventory.queue import NOBODY, Queue
from bookings_api.models import Booking, BookingStatus, Event, IdempotencyKey, TicketType
from bookings_api.permissions import Actor


@dataclass(frozen=True, kw_only=True)
class Order:
    """A request for tickets: for `items`, or for `ticket_count` tickets of the only type on sale.

    The guest defaults to the account's owner. With an API key, `guest_name` and `guest_email` are required. Only API
    keys can set `external_id` and `metadata`. `hold_minutes` asks for a hold. `waitlist` asks for a place on the
    waiting list if too few tickets are left. `accept_fewer` is the smallest number of tickets that the guest accepts.
    `requires_verified_email` is true if only accounts with a verified email may book.
    """

    event_id: UUID
    ticket_count: int = 1
    items: Sequence[OrderedItem] | None = None
    guest_name: str | None = None
    guest_email: str | None = None
    external_id: str | None = None
    metadata: Mapping[str, str] | None = None
    hold_minutes: int | None = None
    waitlist: bool = False
    accept_fewer: int | None = None
    requires_verified_email: bool = False

    @property
    def total(self) -> int:
        """The number of ordered tickets."""
        return self.ticket_count if self.items is None else sum(item.count for item in self.items)

    @property
    def hash(self) -> bytes:
        """The SHA-256 hash of the order, used to recognize repeated orders with the same external ID.

        Omits fields that have their default value. A later release can therefore add fields without changing the
        hashes of existing orders.
        """
        values = asdict(self)
        order = {field.name: values[field.name] for field in fields(self) if values[field.name] != field.default}
        order.pop("requires_verified_email", None)  # not part of the order
        if "items" in order:
            order["items"] = sorted(order["items"], key=str)
        return hashlib.sha256(json.dumps(order, sort_keys=True, default=str).encode()).digest()


@dataclass(frozen=True)
class Facts:
    """The data that determines whether an order can be booked.

    `actor` is None if the login has ended or the account is inactive. `is_admitted` is true if the account has an
    active membership in the event's organization, false if the organization has revoked its access, and None if the
    account has no membership yet or the actor is an API key. `stored` is the response to an earlier request with the
    same `Idempotency-Key`. `now` is the database's time. `same_external_id` is the booking that already has the order's
    external ID. `first_hold_ends` is the earliest end of a hold for the event. `queue` describes the waiting list, and
    is read only if the list's policy is `strict`.
    """

    actor: Actor | None
    is_admitted: bool | None
    stored: IdempotencyKey | None
    event: Event | None
    now: datetime
    ticket_types: Sequence[TicketType]
    tickets_of_person: int
    first_hold_ends: datetime | None = None
    has_waiting: bool = False
    same_external_id: Booking | None = None
    queue: Queue = NOBODY

    @property
    def has_expired_holds(self) -> bool:
        return self.first_hold_ends is not None and self.first_hold_ends <= self.now


@dataclass(frozen=True)
class Plan:
    """An accepted order, with the time of the decision.

    `is_new_customer` is true if an account has no membership in the event's organization yet. `status` is the status of
    the new booking, and `items` are the tickets that it gets or waits for.
    """

    actor: Actor
    is_new_customer: bool
    event: Event
    items: Sequence[Item]
    now: datetime
    status: BookingStatus
    hold_minutes: int | None

    @property
    def amount_due(self) -> int:
        """The price of all tickets, in minor units."""
        return sum(item.count * item.price for item in self.items)
