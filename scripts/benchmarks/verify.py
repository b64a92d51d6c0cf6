"""What must hold after each round."""

from scripts.benchmarks.site import Site

_QUESTIONS = {
    "events are oversold": "SELECT count(*) FROM events WHERE tickets_booked > capacity",
    "events count other tickets than their bookings hold": """
        SELECT count(*) FROM events LEFT JOIN (
            SELECT event_id, sum(ticket_count) AS tickets FROM bookings WHERE status = 'confirmed' GROUP BY event_id
        ) AS held ON held.event_id = events.id WHERE tickets_booked <> coalesce(held.tickets, 0)""",
    "bookings have not one mail each": """
        SELECT count(*) FROM (
            SELECT bookings.id FROM bookings LEFT JOIN outbox_mails ON booking_id = bookings.id
            WHERE guest_name <> 'Grace Hopper' AND bookings.reference <> 'SOLDOUT'
            GROUP BY bookings.id HAVING count(outbox_mails.id) <> 1
        ) AS wrong""",
}


def mistakes(site: Site) -> list[str]:
    """One line for each promise that was broken. Bookings that were there from the start had their mail long ago."""
    found = []
    with site.cursor() as cursor:
        for sentence, question in _QUESTIONS.items():
            cursor.execute(question)
            (count,) = cursor.fetchone() or (0,)
            found += [f"{count} {sentence}"] if count else []
    return found
