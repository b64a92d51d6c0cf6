"""The test suite. It runs against real PostgreSQL, Valkey, Celery and SMTP servers."""
