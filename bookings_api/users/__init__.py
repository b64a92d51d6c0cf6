"""Accounts as the API shows them."""
