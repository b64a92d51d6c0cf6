"""Teams of people who help with one event, and the transfer of events to another organizer."""
