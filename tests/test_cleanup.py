"""The hourly deletion of expired rows."""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.cleanup import delete_expired
from bookings_api.mail.tasks import drain
from bookings_api.models import IdempotencyKey, Login, OneTimeToken
from tests.factories import API, make_event, make_user
from tests.times import utcnow


def test_expired_logins_tokens_and_keys_are_deleted(app: Flask, client: FlaskClient, database: sa.Engine) -> None:
    user, event = make_user(client), make_event(client)
    client.post(f"{API}/auth/password-reset", json={"email": user.email})
    headers = {**user.headers, "Idempotency-Key": "a-key"}
    client.post(f"{API}/bookings/", headers=headers, json={"event_id": event["id"]})

    def counts() -> list[int]:
        with database.connect() as connection:
            models = (Login, OneTimeToken, IdempotencyKey)
            return [connection.scalars(sa.select(sa.func.count()).select_from(model)).one() for model in models]

    with app.app_context():
        drain()  # creates the token of the reset
        delete_expired()
    assert counts() == [2, 1, 1]

    with database.begin() as connection:
        past = utcnow() - timedelta(seconds=1)
        connection.execute(sa.update(Login).where(Login.user_id == UUID(user.id)).values(expires_at=past))
        connection.execute(sa.update(OneTimeToken).values(expires_at=past))
        connection.execute(sa.update(IdempotencyKey).values(created_at=past - timedelta(hours=24)))
    with app.app_context():
        delete_expired()
    assert counts() == [1, 0, 0]
