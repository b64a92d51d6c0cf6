"""The kinds of tickets that an event sells."""
