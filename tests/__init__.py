"""The suite: real PostgreSQL, Valkey, Celery worker and SMTP server, each test a sentence about one behaviour."""
