"""Connections, transactions, prepared statements, and the base classes of all models."""
