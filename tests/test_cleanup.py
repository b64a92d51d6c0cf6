"""The hourly deletion of expired rows."""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.cleanup import delete_expired
from bookings_api.mail.tasks import drain
from bookings_api.models import Booking, IdempotencyKey, Login, OneTimeToken, OutboxEmail
from tests.factories import API, PASSWORD, book, make_event, make_user
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


def test_a_booking_that_was_committed_after_the_deletion_of_its_account_is_erased(
    app: Flask, client: FlaskClient, database: sa.Engine
) -> None:
    user, event = make_user(client), make_event(client)
    body = {"current_password": PASSWORD, "cancel_bookings": True}
    booking = UUID(book(client, user, event).json["id"])
    assert client.delete(f"{API}/users/me", headers=user.headers, json=body).status_code == 204
    with app.app_context():
        drain()
        delete_expired()
    with database.begin() as connection:
        late = {"guest_name": "Ada Lovelace", "guest_email": user.email}
        connection.execute(sa.update(Booking).where(Booking.id == booking).values(late))
        to_user = sa.update(OutboxEmail).where(OutboxEmail.booking_id == booking)
        connection.execute(to_user.values(recipient=sa.func.concat(OutboxEmail.id, user.email)))

    with app.app_context():
        delete_expired()

    with database.connect() as connection:
        guest = connection.execute(sa.select(Booking.guest_name, Booking.guest_email)).one()
        assert guest == ("Deleted account", f"erased-{user.id}@erased.invalid")
        assert not [to for to in connection.scalars(sa.select(OutboxEmail.recipient)) if user.email in to]
