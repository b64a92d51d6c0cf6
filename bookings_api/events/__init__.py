"""Events: what can be booked."""
