"""Connections, transactions and what all tables share."""
