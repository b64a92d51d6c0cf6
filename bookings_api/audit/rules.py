"""Invariants across rows and tables. PostgreSQL constraints cannot express them, so the services must maintain them."""

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

import sqlalchemy as sa
from email_validator import SPECIAL_USE_DOMAIN_NAMES

from bookings_api.audit.ticket_rules import TICKET_RULES
from bookings_api.models.booking import REFERENCE_ALPHABET, REFERENCE_LENGTH

# The clocks of the machines that create bookings and delete emails may differ.
_CLOCK_SKEW = timedelta(hours=1)

# PostgreSQL regular expressions that match what `email_addresses.checked_address` accepts
_ATOM, _LABEL = r"[A-Za-z0-9_!#$%&'*+/=?^`{|}~-]+", r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = rf"^(?!.*=\?){_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*$"
_NOT_PUBLIC = rf"^[^.]*$|(^|\.)({'|'.join(SPECIAL_USE_DOMAIN_NAMES)})$"

# The name of each rule, and a query that returns the ID of each row that violates the rule, with a message.
RULES = {
    **TICKET_RULES,
    "deleted_but_published": """
        SELECT id::text, format('event %s is deleted but was not cancelled', id)
        FROM events WHERE deleted_at IS NOT NULL AND status = 'published'
        """,
    # every email about the event needs the time zone
    "time_zone": """
        SELECT id::text, format('event %s has the unknown time zone %L', id, timezone)
        FROM events WHERE timezone <> ALL (:zones)
        """,
    # The API accepts only this range. Python cannot represent years after 9999.
    "event_times": """
        SELECT id::text, format('event %s has a time before the year 2000 or after 2200', id)
        FROM events, unnest(ARRAY[starts_at, ends_at, booking_opens_at, booking_closes_at]) AS moment
        WHERE moment NOT BETWEEN '2000-01-01Z' AND '2201-01-01Z' GROUP BY id
        """,
    "reference": """
        SELECT id::text, format('booking %s has the invalid reference %L', id, reference)
        FROM bookings WHERE reference !~ :reference
        """,
    "event_version": """
        SELECT bookings.id::text, format('booking %s refers to version %s of event %s, whose version is %s',
                                         bookings.id, event_version, events.id, events.version)
        FROM bookings JOIN events ON events.id = event_id WHERE event_version NOT BETWEEN 1 AND events.version
        """,
    # ETags contain versions
    "version": """
        SELECT id::text, format('%s %s has the invalid version %s', kind, id, version)
        FROM (
            SELECT 'user' AS kind, id, version FROM users WHERE version < 1
            UNION ALL SELECT 'event', id, version FROM events WHERE version < 1
            UNION ALL SELECT 'booking', id, version FROM bookings WHERE version < 1
            UNION ALL SELECT 'api_key', id, version FROM api_keys WHERE version < 1
            UNION ALL SELECT 'ticket_type', id, version FROM ticket_types WHERE version < 1
        ) AS rows
        """,
    "idempotency_key": """
        SELECT NULL, format('idempotency key %L of %s refers to %s, which does not exist or has another creator',
                            key, keys.actor_id, coalesce(response->>'id', '(none)'))
        FROM idempotency_keys AS keys LEFT JOIN (
            SELECT id, coalesce(user_id, api_key_id) AS actor_id FROM bookings
            -- the other tables do not store who created their rows
            UNION ALL SELECT id, NULL FROM api_keys
            UNION ALL SELECT id, NULL FROM events
            UNION ALL SELECT id, NULL FROM ticket_types
            UNION ALL SELECT id, NULL FROM users
            UNION ALL SELECT id, NULL FROM outbox_emails
        ) AS created ON created.id::text = coalesce(response->>'id', response->>'user_id') -- team members have no id
            AND coalesce(created.actor_id, keys.actor_id) = keys.actor_id
        WHERE created.id IS NULL
        """,
    "confirmation_email_missing": """
        SELECT id::text, format('booking %s is confirmed, but the confirmation email is missing', id)
        FROM bookings
        WHERE status = 'confirmed' AND confirmed_at > now() - :emails_since AND NOT EXISTS (
            SELECT FROM outbox_emails WHERE kind = 'booking_confirmed' AND booking_id = bookings.id)
        """,
    # Holds are announced only if they are offers or are confirmed. An unfinished broadcast may still write the email.
    "cancellation_email_missing": """
        SELECT id::text, format('booking %s is cancelled, but the cancellation email is missing', id)
        FROM bookings
        WHERE status = 'cancelled' AND cancelled_at > now() - :emails_since
        AND (confirmed_at IS NOT NULL OR waitlisted_at IS NOT NULL) AND NOT EXISTS (
            SELECT FROM outbox_emails WHERE kind = 'booking_expired' AND booking_id = bookings.id
        ) AND NOT EXISTS (
            SELECT FROM outbox_emails
            WHERE kind IN ('booking_cancelled', 'event_cancelled') AND booking_id = bookings.id
        ) AND NOT EXISTS (
            SELECT FROM event_broadcasts AS broadcast
            WHERE broadcast.event_id = bookings.event_id AND kind = 'event_cancelled' AND finished_at IS NULL
            AND broadcast.event_version = bookings.event_version
            AND (last_booking_id IS NULL OR last_booking_id < bookings.id)
        )
        """,
    # Each change and the cancellation increment the version. A change sends booking_changed to the guest or, if the
    # guest is replaced, booking_reassigned to the former guest. Excludes bookings that were held or waitlisted or had a
    # refused payment, because these steps also increment the version.
    "change_email_count": """
        SELECT bookings.id::text, format('booking %s was changed %s times, but has %s change emails',
                                         bookings.id, changes, count(emails.id))
        FROM bookings
        CROSS JOIN LATERAL (VALUES (greatest(version - 1 - (status = 'cancelled')::integer, 0))) AS counted (changes)
        LEFT JOIN outbox_emails AS emails ON booking_id = bookings.id
            AND kind IN ('booking_changed', 'booking_reassigned')
        WHERE bookings.created_at > now() - :emails_since
        AND hold_minutes IS NULL AND waitlisted_at IS NULL AND NOT has_refused_payment
        GROUP BY bookings.id, changes HAVING count(emails.id) <> changes
        """,
    "duplicate_cancellation_email": """
        SELECT booking_id::text, format('booking %s has %s cancellation emails to the same address', booking_id,
                                         count(*))
        FROM outbox_emails WHERE kind IN ('booking_cancelled', 'event_cancelled') AND booking_id IS NOT NULL
        GROUP BY booking_id, recipient HAVING count(*) > 1
        """,
    "cancellation_email_for_confirmed": """
        SELECT bookings.id::text, format('booking %s is confirmed, but has the cancellation email %s',
                                         bookings.id, emails.id)
        FROM bookings JOIN outbox_emails AS emails ON booking_id = bookings.id
        WHERE bookings.status = 'confirmed' AND kind IN ('booking_cancelled', 'event_cancelled')
        """,
    "reminder": """
        SELECT bookings.id::text, format('booking %s: reminded_for is %s, but its latest reminder is for %s',
                                         bookings.id, reminded_for, coalesce(latest.starts_at::text, '(none)'))
        FROM bookings LEFT JOIN LATERAL (
            SELECT (payload->>'starts_at')::timestamptz AS starts_at FROM outbox_emails
            WHERE booking_id = bookings.id AND kind = 'event_reminder' AND status <> 'dropped'
            ORDER BY id DESC LIMIT 1
        ) AS latest ON true
        WHERE reminded_for <> latest.starts_at
        OR reminded_for IS NOT NULL AND latest.starts_at IS NULL AND created_at > now() - :emails_since
        """,
    "duplicate_reminder": """
        SELECT booking_id::text, format('booking %s has two reminders of the event at %s', booking_id, starts_at)
        FROM (
            SELECT booking_id, starts_at, lag(starts_at) OVER (PARTITION BY booking_id ORDER BY id) AS previous
            FROM outbox_emails CROSS JOIN LATERAL (VALUES ((payload->>'starts_at')::timestamptz)) AS event (starts_at)
            WHERE kind = 'event_reminder' AND status <> 'dropped'
        ) AS reminders
        WHERE starts_at = previous
        """,
    # a later broadcast replaces an unfinished broadcast
    "broadcast": """
        SELECT bookings.id::text, format('booking %s did not get an email from broadcast %s of event %s',
                                         bookings.id, broadcast.id, broadcast.event_id)
        FROM event_broadcasts AS broadcast JOIN bookings ON bookings.event_id = broadcast.event_id
        WHERE broadcast.kind = 'event_changed' AND finished_at IS NOT NULL
        AND broadcast.created_at > now() - :emails_since AND bookings.status IN ('confirmed', 'held', 'waitlisted')
        AND bookings.event_version < broadcast.event_version AND NOT EXISTS (
            SELECT FROM event_broadcasts AS later
            WHERE later.event_id = broadcast.event_id AND later.event_version > broadcast.event_version
        ) AND NOT EXISTS (
            SELECT FROM outbox_emails AS emails WHERE emails.booking_id = bookings.id AND broadcast_id = broadcast.id)
        """,
    "email_reference_missing": """
        SELECT id::text, format('email %s (%s) has no reference to a %s', id, kind, missing)
        FROM outbox_emails, LATERAL (VALUES (CASE
            WHEN booking_id IS NULL AND (kind LIKE 'booking%' OR kind LIKE 'event%') THEN 'booking'
            WHEN broadcast_id IS NULL AND kind IN ('event_changed', 'event_cancelled') THEN 'broadcast'
            WHEN user_id IS NULL AND kind <> 'password_reset' AND NOT EXISTS (
                SELECT FROM bookings WHERE bookings.id = booking_id AND api_key_id IS NOT NULL) THEN 'user'
        END)) AS reference (missing)
        WHERE missing IS NOT NULL
        """,
    "email_reference_mismatch": """
        SELECT emails.id::text, format('email %s refers to booking %s, but to a different user or event',
                                      emails.id, bookings.id)
        FROM outbox_emails AS emails JOIN bookings ON bookings.id = booking_id
        LEFT JOIN event_broadcasts AS broadcast ON broadcast.id = broadcast_id
        WHERE emails.user_id IS DISTINCT FROM bookings.user_id OR broadcast.event_id <> bookings.event_id
        OR broadcast.kind <> emails.kind OR emails.event_id <> bookings.event_id
        """,
    # mail servers recognize duplicates by the Message-ID
    "message_id": """
        SELECT id::text, format('email %s has the invalid Message-ID %L', id, message_id)
        FROM outbox_emails WHERE message_id NOT LIKE '<' || id || '@%>'
        """,
    # retry delays and worker leases last at most two hours
    "email_never_due": """
        SELECT id::text, format('email %s is %s, but its next attempt is only due at %s', id, status, next_attempt_at)
        FROM outbox_emails WHERE status IN ('pending', 'sending') AND next_attempt_at > now() + interval '1 day'
        """,
    "email_without_attempt": """
        SELECT id::text, format('email %s is %s, but was never attempted', id, status)
        FROM outbox_emails WHERE status <> 'pending' AND attempts = 0
        """,
    "no_organizer": """
        SELECT organizations.id::text, format('no organizer of organization %s can log in', organizations.id)
        FROM organizations LEFT JOIN (
            SELECT organization_id, bool_or(memberships.is_active AND users.is_active) AS can_log_in
            FROM memberships JOIN users ON users.id = user_id
            WHERE memberships.role <> 'user' AND password_hash IS NOT NULL GROUP BY organization_id
        ) AS leaders ON leaders.organization_id = organizations.id
        WHERE can_log_in IS NOT TRUE AND (
            can_log_in IS FALSE OR EXISTS (SELECT FROM events WHERE events.organization_id = organizations.id)
        )
        """,
    "access_of_inactive_account": """
        SELECT id::text, format('%s %s is valid, but its user %s is deactivated', kind, id, user_id)
        FROM (
            SELECT 'login' AS kind, id, user_id FROM logins WHERE revoked_at IS NULL
            UNION ALL SELECT purpose || ' token', id, user_id FROM one_time_tokens
        ) AS access
        WHERE user_id IN (SELECT id FROM users WHERE NOT is_active)
        """,
}

# Findings that are not violations but worth investigating
_NOTES = {
    "failed emails: {count}; run `flask mail retry` to send them again": """
        SELECT count(*) FROM outbox_emails WHERE status = 'failed'""",
    "emails left by stopped workers: {count}; another worker will send them": """
        SELECT count(*) FROM outbox_emails WHERE status = 'sending' AND next_attempt_at < now()""",
    "unfinished event broadcasts: {count}": """
        SELECT count(*) FROM event_broadcasts WHERE finished_at IS NULL""",
    # emails may not reach these accounts
    "accounts with an email that would be rejected today: {count}; the first are {ids}": """
        SELECT count(*), array_to_string((array_agg(id::text ORDER BY id))[1:10], ', ') AS ids
        FROM users, split_part(lower(email), '@', 2) AS domain
        WHERE is_active AND (email !~ :address OR domain ~ :not_public AND domain <> ALL (:intranet_domains))""",
}


def parameters(emails_since: timedelta) -> dict[str, Any]:
    """Return the values of the bind parameters in the rules' SQL queries."""
    return {
        "emails_since": emails_since - _CLOCK_SKEW,
        "zones": sorted(available_timezones()),
        "reference": f"^[{REFERENCE_ALPHABET}]{{{REFERENCE_LENGTH}}}$",
    }


def notes(connection: sa.Connection, *, intranet_domains: Collection[str]) -> Iterator[str]:
    """Yield a line for each finding that is not a violation but worth investigating."""
    values = {"address": _ADDRESS, "not_public": _NOT_PUBLIC, "intranet_domains": list(intranet_domains)}
    for message, query in _NOTES.items():
        row = connection.execute(sa.text(query), values).mappings().one()
        if row["count"]:
            yield message.format(**row)
