"""Takes and releases tickets, ends expired holds, and serves the waiting list. All of it under the event's lock."""
