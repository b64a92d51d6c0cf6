"""Signup, login, verified emails, password resets and invitations."""
