"""Teams of events: people who help with one event, and the transfer of an event to another organizer."""
