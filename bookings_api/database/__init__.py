"""Connections, transactions, and the base classes of all tables."""
