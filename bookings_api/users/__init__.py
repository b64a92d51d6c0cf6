"""Account management: users change their own account, organizers manage the people of their organization."""
