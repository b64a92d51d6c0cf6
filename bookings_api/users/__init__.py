"""Accounts: users change their own accounts, and organizers manage the people of their organization."""
