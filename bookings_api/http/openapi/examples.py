"""Values for the examples in the OpenAPI document.

In these examples, Olivia organizes a concert, and Uri books tickets for Grace. The tests replace the IDs, addresses and
tokens with real values, and send the example requests to a running service.
"""

ORGANIZATION_ID = "019df20a-61c4-7d93-8e07-b24f9a6c3158"
OLIVIA_ID = "019df20b-fd86-7c1e-9a4f-2f6f0a3b5d11"
URI_ID = "019df20d-8a52-7b40-8c13-6d94e2f7a05c"
TICKET_TYPE_ID = "019df213-1e7b-7c42-93a6-5f08d2b7e914"
FRONT_ROW_ID = "019df214-80c5-7e19-b4d3-6a92f1c80e57"
EVENT_ID = "019df213-1e77-7a95-a0d8-3c5b7f9e1264"
BOOKING_ID = "019df217-c40d-72ef-9b36-e8a45d01f7c2"
LOGIN_ID = "019df20d-9107-7c5d-a1f4-58b2e6037d9c"
VERIFICATION_ID = "019df20d-8a5b-7f19-b3c7-2ad6904e81f5"
API_KEY_ID = "019df222-6b0e-7d53-8a41-c92f07e5d638"
EMAIL_ID = "019df217-c411-7d08-8f5a-14b6c93e72ad"
PAYMENT_ID = "019df218-2c7e-7b05-9d61-40f3a8e2c795"
PAYMENT_REFERENCE = "pi_3QK7M3PTW9XA"

REFERENCE = "K7M3PTW9XA"

API_KEY_NAME = "Website"
URI_EMAIL = "uri@example.com"
GRACE_EMAIL = "grace@example.com"
COLLEAGUE_EMAIL = "colleague@example.com"
CONCERTS_EMAIL = "concerts@example.com"

COLLEAGUE = {
    "id": "019df210-43c8-7f6b-b5e2-90a1c7d83e4f",
    "email": COLLEAGUE_EMAIL,
    "name": "Colette",
    "role": "organizer",
}

PASSWORD = "a seat by the aisle"  # noqa: S105 - an example
NEW_PASSWORD = "standing room only"  # noqa: S105 - an example

# Placeholders for tokens. The first part of the JWTs is a real header.
ACCESS_TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.access.signature"  # noqa: S105 - an example
REFRESH_TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.refresh.signature"  # noqa: S105 - an example
API_KEY_SECRET = "ebk_Q3VydGFpbi11cC1hdC1oYWxmLXBhc3Qtc2V2ZW4"  # noqa: S105 - an example
OTHER_API_KEY_SECRET = "ebk_SG91c2UtbGlnaHRzLWRvd24tYXQtZWlnaHQtMDA"  # noqa: S105 - an example
EMAILED_TOKEN = "Z3Vlc3RsaXN0-b3BlbmluZy1uaWdodA"  # noqa: S105 - an example

SIGNED_UP_AT = "2026-05-04T08:12:45.318206+00:00"
PUBLISHED_AT = "2026-05-04T08:20:31.927114+00:00"
BOOKED_AT = "2026-05-04T08:25:37.165390+00:00"
HELD_UNTIL = "2026-05-04T09:00:37.165390+00:00"
EXTENDED_UNTIL = "2026-05-04T09:35:37.165390+00:00"
EMAILED_AT = "2026-05-04T08:25:37.903558+00:00"
CHANGED_AT = "2026-05-05T17:02:09.480771+00:00"

_ENTRY = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Event Booking//Event Booking API//EN
BEGIN:VEVENT
SUMMARY:Schubert by Candlelight
DTSTART:20990619T173000Z
DTEND:20990619T200000Z
DTSTAMP:20260504T082537Z
UID:{id}@example.com
SEQUENCE:0
{details}
LOCATION:Kammermusiksaal
STATUS:CONFIRMED
END:VEVENT
END:VCALENDAR
"""
_OF_EVENT = "DESCRIPTION:Two late string quartets\\; doors open at 19:00."
_OF_BOOKING = f"""\
ATTENDEE;CN="Grace";PARTSTAT=ACCEPTED;ROLE=REQ-PARTICIPANT;RSVP=FALSE:mail
 to:{GRACE_EMAIL}
DESCRIPTION:Reference: {REFERENCE}\\nTickets: 2\\nGuest: Grace
ORGANIZER;CN="Olivia";SENT-BY="mailto:tickets@example.com":mailto:{CONCERTS_EMAIL}"""


def _calendar(**parts: str) -> str:
    return _ENTRY.format_map(parts).replace("\n", "\r\n")


EVENT_CALENDAR = _calendar(id=EVENT_ID, details=_OF_EVENT)
BOOKING_CALENDAR = _calendar(id=BOOKING_ID, details=_OF_BOOKING)
