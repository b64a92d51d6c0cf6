"""Account management: users change their own account, organizers manage all accounts."""
