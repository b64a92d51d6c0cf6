"""Signup, login, logout, email verification, password resets and accepting invitations."""
