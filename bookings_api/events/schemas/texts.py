"""Descriptions and examples shared by requests and responses about events."""

TITLE, PLACE, ZONE = "Schubert by Candlelight", "Kammermusiksaal", "Europe/Berlin"
DESCRIPTION = "Two late string quartets; doors open at 19:00."
ORGANIZER = "The ID of the account that organizes the event."
TITLE_TEXT = "The title of the event. Cannot contain links. Put links in the description."
PLACE_TEXT = "Where the event takes place. Cannot contain links. Put links in the description."
ZONE_TEXT = "The IANA time zone in which emails show the event's times."
CONTACT_NAME = "The name of the contact for guests, shown in emails and calendars. `null` if there is no contact name."
CONTACT_EMAIL = (
    "The contact's email, shown in emails and calendars. Guests' replies go to this address. `null` if there is no"
    " contact email."
)
STARTS = "When the event starts. Must be in the future."
ENDS = "When the event ends. Must be later than `starts_at` and in the future."
CAPACITY = "The total number of tickets."
LIMIT = "The maximum number of tickets per booking."
PERSON_LIMIT = (
    "The maximum number of tickets per account. For bookings made with API keys, the maximum number per guest email,"
    " ignoring case and anything between `+` and `@`. `null` means no limit."
)
OPENS = "When booking opens. Must be before booking closes. If `null`, booking opens as soon as the event is published."
CLOSES = "When booking closes. Must not be later than `ends_at`. If `null`, booking closes when the event starts."
CURRENCY = "The ISO 4217 code of the currency of all prices. `null` if all tickets are free."
HOLD = (
    "How long a booking that must be paid holds its tickets, in minutes. Buyers cannot ask for longer holds. Choose a"
    " longer time than your checkout page stays open, which is often at least 30 minutes."
)
WAITLIST = "Whether people can join a waiting list when too few tickets are left."
POLICY = (
    "How the waiting list is served, always in order of arrival. `first_fit` skips a booking that needs more tickets"
    " than are left. With `strict`, the tickets that are left are set aside for such a booking, and later bookings can"
    " get only the others."
)
OFFER = (
    "How long guests from the waiting list have to accept the tickets, in minutes. If `null`, bookings that must be"
    " paid or that set their own `hold_minutes` are held for `hold_minutes`. All others are confirmed immediately."
)
