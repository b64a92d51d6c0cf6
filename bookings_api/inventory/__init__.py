"""Takes and releases tickets, ends expired holds, and serves the waiting list, always under the event's lock."""
