"""Invariants of tickets, counters, the waiting list and payments."""

# the tickets in the bookings of each event and of each ticket type
_COUNTS = """
        WITH of_events AS (
            SELECT event_id, coalesce(sum(ticket_count) FILTER (WHERE status = 'confirmed'), 0) AS booked,
                   coalesce(sum(ticket_count) FILTER (WHERE status = 'held'), 0) AS held
            FROM bookings GROUP BY event_id
        ), of_types AS (
            SELECT ticket_type_id, coalesce(sum(count) FILTER (WHERE status = 'confirmed'), 0) AS booked,
                   coalesce(sum(count) FILTER (WHERE status = 'held'), 0) AS held
            FROM booking_items JOIN bookings ON bookings.id = booking_id GROUP BY ticket_type_id
        )"""

# The name of each rule, and a query that returns the ID of each row that violates the rule, with a message.
TICKET_RULES = {
    "tickets_booked": _COUNTS
    + """
        SELECT id::text, format('event %s: tickets_booked is %s, but its confirmed bookings have %s tickets',
                                id, tickets_booked, coalesce(booked, 0))
        FROM events LEFT JOIN of_events ON event_id = id
        WHERE tickets_booked <> coalesce(booked, 0)
        UNION ALL
        SELECT event_id::text, format('ticket type %s: tickets_booked is %s, but %s of its tickets are booked',
                                      id, tickets_booked, coalesce(booked, 0))
        FROM ticket_types LEFT JOIN of_types ON ticket_type_id = id
        WHERE tickets_booked <> coalesce(booked, 0)
        """,
    "tickets_held": _COUNTS
    + """
        SELECT id::text, format('event %s: tickets_held is %s, but its holds have %s tickets',
                                id, tickets_held, coalesce(held, 0))
        FROM events LEFT JOIN of_events ON event_id = id
        WHERE tickets_held <> coalesce(held, 0)
        UNION ALL
        SELECT event_id::text, format('ticket type %s: tickets_held is %s, but %s of its tickets are held',
                                      id, tickets_held, coalesce(held, 0))
        FROM ticket_types LEFT JOIN of_types ON ticket_type_id = id
        WHERE tickets_held <> coalesce(held, 0)
        """,
    "booking_items": """
        SELECT bookings.id::text, format('booking %s has %s tickets, but its items have %s',
                                         bookings.id, ticket_count, coalesce(sum(count), 0))
        FROM bookings LEFT JOIN booking_items ON booking_id = bookings.id
        GROUP BY bookings.id HAVING ticket_count <> coalesce(sum(count), 0)
        """,
    "item_of_other_event": """
        SELECT booking_id::text, format('booking %s has tickets of type %s of another event', booking_id, types.id)
        FROM booking_items JOIN bookings ON bookings.id = booking_id
        JOIN ticket_types AS types ON types.id = ticket_type_id WHERE types.event_id <> bookings.event_id
        """,
    "event_without_type": """
        SELECT id::text, format('event %s has no ticket type', id)
        FROM events WHERE id NOT IN (SELECT event_id FROM ticket_types WHERE ticket_types.deleted_at IS NULL)
        """,
    "oversold": _COUNTS
    + """
        SELECT id::text, format('event %s: capacity is %s, but its bookings have %s tickets',
                                id, capacity, booked + held)
        FROM events JOIN of_events ON event_id = id
        WHERE booked + held > capacity
        UNION ALL
        SELECT event_id::text, format('ticket type %s: capacity is %s, but its bookings have %s tickets',
                                      id, capacity, booked + held)
        FROM ticket_types JOIN of_types ON ticket_type_id = id
        WHERE booked + held > capacity
        """,
    "type_larger_than_event": """
        SELECT types.id::text, format('ticket type %s: capacity is %s, but the capacity of its event %s is %s',
                                      types.id, types.capacity, events.id, events.capacity)
        FROM ticket_types AS types JOIN events ON events.id = event_id
        WHERE types.capacity > events.capacity AND types.deleted_at IS NULL
        """,
    "active_for_unpublished_event": """
        SELECT bookings.id::text, format('booking %s is %s, but its event %s is %s',
                                         bookings.id, bookings.status, events.id, events.status)
        FROM bookings JOIN events ON events.id = event_id
        WHERE bookings.status IN ('confirmed', 'held', 'waitlisted') AND events.status <> 'published'
        """,
    # Events with a limit per person are exempt, because a person may wait although they have too many tickets. So are
    # people whose access was revoked.
    "waiting_although_available": """
        SELECT waiting.id::text, format('booking %s waits for tickets of event %s, although they are available',
                                        waiting.id, waiting.event_id)
        FROM events JOIN LATERAL (
            SELECT *, row_number() OVER (ORDER BY waitlisted_at, id) AS place
            FROM bookings WHERE event_id = events.id AND is_waiting
        ) AS waiting ON place = 1 OR waitlist_policy = 'first_fit'
        WHERE events.status = 'published' AND coalesce(booking_closes_at, starts_at) > now()
        AND max_tickets_per_person IS NULL
        AND NOT EXISTS (SELECT FROM users WHERE users.id = waiting.user_id AND NOT users.is_active)
        AND NOT EXISTS (
            SELECT FROM memberships WHERE memberships.user_id = waiting.user_id
            AND memberships.organization_id = events.organization_id AND NOT memberships.is_active
        )
        AND capacity - tickets_booked - tickets_held >= coalesce(accept_fewer, ticket_count) AND NOT EXISTS (
            SELECT FROM booking_items JOIN ticket_types AS types ON types.id = ticket_type_id
            WHERE booking_id = waiting.id
            AND types.capacity - types.tickets_booked - types.tickets_held < coalesce(accept_fewer, count)
        )
        """,
    "amount_due": """
        SELECT bookings.id::text, format('booking %s: amount_due is %s, but its tickets cost %s',
                                         bookings.id, amount_due, sum(count * price::bigint))
        FROM bookings JOIN booking_items ON booking_id = bookings.id
        GROUP BY bookings.id HAVING amount_due <> sum(count * price::bigint)
        """,
    "unpaid": """
        SELECT id::text, format('booking %s is confirmed, but only %s of %s was paid', id, amount_paid, amount_due)
        FROM bookings WHERE status = 'confirmed' AND amount_paid < amount_due
        """,
    "payments": """
        SELECT bookings.id::text, format('booking %s does not match its payments', bookings.id)
        FROM bookings LEFT JOIN payments ON booking_id = bookings.id
        GROUP BY bookings.id
        HAVING amount_paid <> coalesce(sum(amount) FILTER (WHERE refusal IS NULL), 0)
        OR has_refused_payment <> (count(refusal) > 0)
        OR bool_or(refusal IS NULL AND payments.currency <> bookings.currency)
        """,
    "payment_of_other_organization": """
        SELECT payments.id::text, format('payment %s belongs to another organization than its booking', payments.id)
        FROM payments JOIN bookings ON bookings.id = booking_id JOIN events ON events.id = event_id
        WHERE payments.organization_id <> events.organization_id
        """,
}
