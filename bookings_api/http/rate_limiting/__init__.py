"""Rate limits per client, account and email address, counted in Redis."""
