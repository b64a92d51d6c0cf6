"""Demo data: two accounts and twelve events, some with prices and waiting lists. Not for production."""

from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from bookings_api.accounts.memberships import memberships_of
from bookings_api.accounts.queries import user_by_email
from bookings_api.auth.services import sign_up
from bookings_api.events.services import create_event
from bookings_api.extensions import db
from bookings_api.inventory.availability import ticket_types_of
from bookings_api.models import Event, EventStatus, MemberRole, User, Waitlist
from bookings_api.permissions import Actor, Tenancy
from bookings_api.ticket_types.services import change_type


@dataclass(frozen=True)
class Account:
    """A demo account. Its password is public."""

    role: MemberRole
    email: str
    name: str
    password: str


ORGANIZER = Account(MemberRole.ORGANIZER, "organizer@example.com", "Olivia Organizer", "organizer-demo-password")
USER = Account(MemberRole.USER, "user@example.com", "Uri User", "user-demo-password")
ACCOUNTS = (ORGANIZER, USER)


@dataclass(frozen=True)
class Plan:
    """A demo event. It starts in `days_ahead` days at `starts`, in the time zone `timezone`, and lasts `hours`.

    `price` is in minor units of `currency`.
    """

    days_ahead: int
    starts: time
    hours: float
    title: str
    description: str
    location: str
    timezone: str
    capacity: int
    max_tickets_per_booking: int = 6
    currency: str | None = None
    price: int = 0
    waitlist: Waitlist = Waitlist.OFF


PLANS = (
    Plan(3, time(19, 30), 2.5, "Schubert Quartets by Candlelight", "Two late string quartets; doors open at 19:00.",
         "Kammermusiksaal, Berlin", "Europe/Berlin", 180),
    Plan(5, time(9, 0), 8, "PostgreSQL in Anger", "A day on locks, vacuum and plans; bring a laptop.",
         "Codehouse, Utrecht", "Europe/Amsterdam", 40, 3),
    Plan(6, time(20, 0), 2, "Improv Night: The Unscripted", "You shout, they play.",
         "The Loft Theatre, London", "Europe/London", 90),
    Plan(8, time(18, 30), 3, "Sourdough from Scratch", "Take home a starter and a loaf.",
         "Backstube am Fluss, Basel", "Europe/Zurich", 12, 2, waitlist=Waitlist.ON),
    Plan(11, time(10, 0), 6.5, "Sunday Trail Run, 21 km", "Start number and soup included.",
         "Parque do Monsanto, Lisboa", "Europe/Lisbon", 350),
    Plan(13, time(20, 30), 3, "Salsa Social with Live Band", "Beginners' lesson in the first hour.",
         "Salón Los Ángeles, Ciudad de México", "America/Mexico_City", 220),
    Plan(15, time(17, 0), 2, "Stargazing on the Roof", "Saturn and the Orion nebula, if the sky allows.",
         "Griffith Observatory, Los Angeles", "America/Los_Angeles", 60, 4),
    Plan(18, time(19, 0), 2, "An Evening with Haiku", "Readings in Japanese and English.",
         "Nezu Library, Tokyo", "Asia/Tokyo", 45),
    Plan(21, time(8, 30), 9, "Data Structures Olympiad", "For schools; teams of three.",
         "IIT Bombay, Mumbai", "Asia/Kolkata", 300, 3),
    Plan(24, time(19, 0), 4, "Harbour Jazz Cruise", "Boarding ends ten minutes before we cast off.",
         "King Street Wharf, Sydney", "Australia/Sydney", 110, currency="AUD", price=8900, waitlist=Waitlist.ON),
    Plan(30, time(20, 0), 2.5, "Handel: Messiah", "With the Choir of St. Mary's.",
         "St. Mary's Cathedral, Edinburgh", "Europe/London", 600, currency="GBP", price=2500),
    Plan(45, time(13, 0), 5, "Repair Café", "Bring what is broken; leave with it mended, or wiser.",
         "Maker Space, New York", "America/New_York", 25, 2),
)  # fmt: skip


def create_demo_data(tenancy: Tenancy) -> None:
    """Create the accounts that are missing, and the events unless the demo organizer already has events."""
    for account in ACCOUNTS:
        if user_by_email(account.email) is None:
            sign_up(**asdict(account), tenancy=tenancy, is_verified=True)
    organizer = db.session.scalars(sa.select(User).where(User.email == ORGANIZER.email)).one()
    if db.session.scalars(sa.select(Event.id).where(Event.organizer_id == organizer.id).limit(1)).one_or_none():
        return
    roles = {one.organization_id: one.role for one in memberships_of(organizer.id) if one.role}
    actor = Actor(user=organizer, roles=roles)
    for plan in PLANS:
        event, zone = asdict(plan), ZoneInfo(plan.timezone)
        day = datetime.now(zone).date() + timedelta(days=event.pop("days_ahead"))
        starts_at = datetime.combine(day, event.pop("starts"), zone)
        ends_at = starts_at + timedelta(hours=event.pop("hours"))
        price = {"price": event.pop("price")}
        created = create_event(actor=actor, status=EventStatus.PUBLISHED, starts_at=starts_at, ends_at=ends_at, **event)
        [general] = ticket_types_of(created)
        change_type(actor=actor, event_id=created.id, type_id=general.id, changes=price)
