"""Reads the tokens of emails."""

from uuid import UUID

import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.accounts.one_time_tokens import token_of
from bookings_api.mail.tasks import drain
from bookings_api.models import OutboxEmail


def token_sent_to(client: FlaskClient, database: sa.Engine, address: str) -> str:
    """Send all due emails and return the token of the latest email to `address`. Other tests check the delivery."""
    payload = (
        sa.select(OutboxEmail.payload)
        .where(OutboxEmail.recipient == address, OutboxEmail.payload.has_key("token_id"))
        .order_by(OutboxEmail.id.desc())
        .limit(1)
    )
    with client.application.app_context():
        drain()  # the token of a reset is created when its email is sent
        with database.connect() as connection:
            token_id = connection.scalars(payload).one()["token_id"]
        return token_of(UUID(token_id))
