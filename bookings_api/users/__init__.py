"""Accounts: users change their own accounts, and organizers manage the people in their organization."""
