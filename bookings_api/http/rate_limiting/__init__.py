"""Rate limits per client, account, API key and email address, counted in Redis."""
