"""Rules across rows and tables. Each is kept by the transaction that writes its rows, and by nothing else."""

from collections.abc import Iterator

import sqlalchemy as sa

from bookings_api.audit.violation import Rule

_EVENTS = (
    Rule(
        "tickets_booked",
        """
        SELECT id::text, format('event %s counts %s tickets as booked, its confirmed bookings hold %s',
                                id, tickets_booked, coalesce(held, 0))
        FROM events LEFT JOIN (
            SELECT event_id, sum(ticket_count) AS held FROM bookings WHERE status = 'confirmed' GROUP BY event_id
        ) AS sums ON event_id = id
        WHERE tickets_booked <> coalesce(held, 0)
        """,
    ),
    Rule(
        "oversold",
        """
        SELECT id::text, format('event %s has %s seats, its confirmed bookings hold %s', id, capacity, held)
        FROM events JOIN (
            SELECT event_id, sum(ticket_count) AS held FROM bookings WHERE status = 'confirmed' GROUP BY event_id
        ) AS sums ON event_id = id
        WHERE held > capacity
        """,
    ),
    Rule(
        "confirmed_for_nothing",
        """
        SELECT bookings.id::text, format('booking %s is confirmed, its event %s is %s',
                                         bookings.id, events.id, events.status)
        FROM bookings JOIN events ON events.id = event_id
        WHERE bookings.status = 'confirmed' AND events.status <> 'published'
        """,
    ),
    Rule(
        "deleted_but_published",
        """
        SELECT id::text, format('event %s is deleted and was not cancelled', id)
        FROM events WHERE deleted_at IS NOT NULL AND status = 'published'
        """,
    ),
    Rule(
        "time_zone",  # without which no mail about the event can be made
        """
        SELECT id::text, format('event %s is in the time zone %L, which nobody knows', id, timezone)
        FROM events WHERE timezone <> ALL (:zones)
        """,
    ),
    Rule(
        "moment",  # Python's calendar ends with the year 9999, in any zone; the API takes these years
        """
        SELECT id::text, format('event %s has a time before the year 2000 or after 2200', id)
        FROM events, unnest(ARRAY[starts_at, ends_at, booking_opens_at, booking_closes_at]) AS moment
        WHERE moment NOT BETWEEN '2000-01-01Z' AND '2201-01-01Z' GROUP BY id
        """,
    ),
)

_BOOKINGS = (
    Rule(
        "reference",
        """
        SELECT id::text, format('booking %s has the reference %L, which is none', id, reference)
        FROM bookings WHERE reference !~ :reference
        """,
    ),
    Rule(
        "event_version",
        """
        SELECT bookings.id::text, format('booking %s knows version %s of event %s, which has come to %s',
                                         bookings.id, event_version, events.id, events.version)
        FROM bookings JOIN events ON events.id = event_id WHERE event_version NOT BETWEEN 1 AND events.version
        """,
    ),
    Rule(
        "version",  # what an ETag is made of
        """
        SELECT id::text, format('%s %s has the version %s', kind, id, version)
        FROM (
            SELECT 'user' AS kind, id, version FROM users WHERE version < 1
            UNION ALL SELECT 'event', id, version FROM events WHERE version < 1
            UNION ALL SELECT 'booking', id, version FROM bookings WHERE version < 1
        ) AS rows
        """,
    ),
    Rule(
        "idempotency_key",
        """
        SELECT NULL, format('idempotency key %L of user %s answers with booking %s, which the user has not',
                            key, keys.user_id, coalesce(response->>'id', '(none)'))
        FROM idempotency_keys AS keys
        LEFT JOIN bookings ON bookings.id::text = response->>'id' AND bookings.user_id = keys.user_id
        WHERE bookings.id IS NULL
        """,
    ),
)

_MAILS = (
    Rule(
        "confirmation_missing",
        """
        SELECT id::text, format('booking %s is confirmed, and there is no mail that says so', id)
        FROM bookings
        WHERE status = 'confirmed' AND created_at > now() - :mails_since AND NOT EXISTS (
            SELECT FROM outbox_emails WHERE kind = 'booking_confirmed' AND booking_id = bookings.id)
        """,
    ),
    Rule(
        "cancellation_missing",  # the mail of an event's cancellation is written batch by batch, from its notice
        """
        SELECT id::text, format('booking %s is cancelled, and there is no mail that says so', id)
        FROM bookings
        WHERE status = 'cancelled' AND cancelled_at > now() - :mails_since AND NOT EXISTS (
            SELECT FROM outbox_emails
            WHERE kind IN ('booking_cancelled', 'event_cancelled') AND booking_id = bookings.id
        ) AND NOT EXISTS (
            SELECT FROM event_broadcasts AS notice
            WHERE notice.event_id = bookings.event_id AND kind = 'event_cancelled' AND finished_at IS NULL
            AND notice.event_version = bookings.event_version
            AND (last_booking_id IS NULL OR last_booking_id < bookings.id)
        )
        """,
    ),
    Rule(
        "change_missing",  # each change of a booking by its user is a version, and so is its cancellation
        """
        SELECT bookings.id::text, format('booking %s was changed %s times, and %s mails say so',
                                         bookings.id, changes, count(mails.id))
        FROM bookings
        CROSS JOIN LATERAL (VALUES (greatest(version - 1 - (status = 'cancelled')::integer, 0))) AS counted (changes)
        LEFT JOIN outbox_emails AS mails ON booking_id = bookings.id AND kind = 'booking_changed'
        WHERE bookings.created_at > now() - :mails_since
        GROUP BY bookings.id, changes HAVING count(mails.id) <> changes
        """,
    ),
    Rule(
        "cancelled_twice",
        """
        SELECT booking_id::text, format('booking %s has %s mails that say that it is cancelled', booking_id, count(*))
        FROM outbox_emails WHERE kind IN ('booking_cancelled', 'event_cancelled') AND booking_id IS NOT NULL
        GROUP BY booking_id HAVING count(*) > 1
        """,
    ),
    Rule(
        "cancelled_by_mail_only",
        """
        SELECT bookings.id::text, format('booking %s is confirmed, mail %s says that it is cancelled',
                                         bookings.id, mails.id)
        FROM bookings JOIN outbox_emails AS mails ON booking_id = bookings.id
        WHERE bookings.status = 'confirmed' AND kind IN ('booking_cancelled', 'event_cancelled')
        """,
    ),
    Rule(
        "reminder",
        """
        SELECT bookings.id::text, format('booking %s is marked %s, and has %s reminders', bookings.id,
                                         CASE WHEN reminded_at IS NULL THEN 'as not reminded' ELSE 'as reminded' END,
                                         count(mails.id))
        FROM bookings LEFT JOIN outbox_emails AS mails ON booking_id = bookings.id AND kind = 'event_reminder'
        WHERE mails.id IS NOT NULL OR reminded_at > now() - :mails_since
        GROUP BY bookings.id HAVING count(mails.id) <> (reminded_at IS NOT NULL)::integer
        """,
    ),
    Rule(
        "notice",  # an earlier one is given up as soon as there is a later
        """
        SELECT bookings.id::text, format('booking %s was left out when notice %s of event %s was written',
                                         bookings.id, notice.id, notice.event_id)
        FROM event_broadcasts AS notice JOIN bookings ON bookings.event_id = notice.event_id
        WHERE notice.kind = 'event_changed' AND finished_at IS NOT NULL AND notice.created_at > now() - :mails_since
        AND bookings.status = 'confirmed' AND bookings.event_version < notice.event_version AND NOT EXISTS (
            SELECT FROM event_broadcasts AS later
            WHERE later.event_id = notice.event_id AND later.event_version > notice.event_version
        ) AND NOT EXISTS (
            SELECT FROM outbox_emails AS mails WHERE mails.booking_id = bookings.id AND broadcast_id = notice.id)
        """,
    ),
    Rule(
        "mail_of_nothing",
        """
        SELECT id::text, format('mail %s is a %s and names no %s', id, kind, lacks)
        FROM outbox_emails, LATERAL (VALUES (CASE
            WHEN booking_id IS NULL AND (kind LIKE 'booking%' OR kind LIKE 'event%') THEN 'booking'
            WHEN broadcast_id IS NULL AND kind IN ('event_changed', 'event_cancelled') THEN 'notice'
            WHEN user_id IS NULL AND kind <> 'password_reset' THEN 'user'
        END)) AS missing (lacks)
        WHERE lacks IS NOT NULL
        """,
    ),
    Rule(
        "mail_of_another",
        """
        SELECT mails.id::text, format('mail %s goes with booking %s, but not with its user and event',
                                      mails.id, bookings.id)
        FROM outbox_emails AS mails JOIN bookings ON bookings.id = booking_id
        LEFT JOIN event_broadcasts AS notice ON notice.id = broadcast_id
        WHERE mails.user_id <> bookings.user_id OR notice.event_id <> bookings.event_id OR notice.kind <> mails.kind
        """,
    ),
    Rule(
        "message_id",  # by which a mail that was sent again is known as the same
        """
        SELECT id::text, format('mail %s has the Message-ID %L', id, message_id)
        FROM outbox_emails WHERE message_id NOT LIKE '<' || id || '@%>'
        """,
    ),
    Rule(
        "never_due",  # it waits for two hours at most, for its next attempt or for the lease of a worker to end
        """
        SELECT id::text, format('mail %s is %s, and nobody may try it before %s', id, status, next_attempt_at)
        FROM outbox_emails WHERE status IN ('pending', 'sending') AND next_attempt_at > now() + interval '1 day'
        """,
    ),
    Rule(
        "sent_by_nobody",
        """
        SELECT id::text, format('mail %s counts as %s, and no worker has tried', id, status)
        FROM outbox_emails WHERE status <> 'pending' AND attempts = 0
        """,
    ),
)

_ACCOUNTS = (
    Rule(
        "no_organizer",
        """
        SELECT NULL, 'no organizer is left who could log in'
        WHERE NOT EXISTS (
            SELECT FROM users WHERE role = 'organizer' AND is_active AND password_hash IS NOT NULL
        ) AND (
            EXISTS (SELECT FROM users WHERE role = 'organizer' AND password_hash IS NOT NULL)
            OR EXISTS (SELECT FROM events)
        )
        """,
    ),
    Rule(
        "access_of_nobody",
        """
        SELECT id::text, format('%s %s is good, its user %s has no access', kind, id, user_id)
        FROM (
            SELECT 'login' AS kind, id, user_id FROM logins WHERE revoked_at IS NULL
            UNION ALL SELECT purpose || ' token', id, user_id FROM one_time_tokens
        ) AS access
        WHERE user_id IN (SELECT id FROM users WHERE NOT is_active)
        """,
    ),
)

RULES = (*_EVENTS, *_BOOKINGS, *_MAILS, *_ACCOUNTS)

# What is no violation, and may be worth a look.
_NOTES = {
    "mails have failed; flask mail retry tries them again": """
        SELECT count(*) FROM outbox_emails WHERE status = 'failed'""",
    "mails were left by a worker that is gone; the next one takes them": """
        SELECT count(*) FROM outbox_emails WHERE status = 'sending' AND next_attempt_at < now()""",
    "notices to all guests are not written out yet": """
        SELECT count(*) FROM event_broadcasts WHERE finished_at IS NULL""",
}


def notes(connection: sa.Connection) -> Iterator[str]:
    """A line for each kind of thing that is no violation, and may be worth a look."""
    for sentence, question in _NOTES.items():
        count = connection.scalar(sa.text(question))
        if count:
            yield f"{count} {sentence}"
