"""The fast serialization of responses matches marshmallow's own."""

import json
from typing import Any

import marshmallow as ma
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.accounts.schemas import UserSchema
from bookings_api.bookings.schemas import BookingSchema, EmailSchema
from bookings_api.events.schemas import EventSchema
from bookings_api.extensions import db
from bookings_api.http.schemas import ResponseSchema
from bookings_api.models import Booking, Event, OutboxEmail, User
from tests.factories import book, make_event, make_user

ROWS = [(EventSchema, Event), (BookingSchema, Booking), (EmailSchema, OutboxEmail), (UserSchema, User)]


@pytest.mark.parametrize(("schema", "model"), ROWS)
@pytest.mark.usefixtures("context")
def test_rows_are_serialized_exactly_like_marshmallow_does(
    app: Flask, client: FlaskClient, schema: type[ResponseSchema], model: type[Any]
) -> None:
    user, event = make_user(client), make_event(client, booking_opens_at="2020-01-01T00:00:00.5+02:00")
    booking = book(client, user, event).json
    client.delete(f"/api/v1/bookings/{booking['id']}", headers=user.headers)
    rows = db.session.scalars(sa.select(model)).all()

    serialized = json.loads(app.json.dumps(schema(many=True).dump(rows)))

    assert serialized
    assert serialized == json.loads(json.dumps(ma.Schema.dump(schema(many=True), rows)))


def test_a_mapping_is_serialized_by_name_without_unknown_keys() -> None:
    class PairSchema(ResponseSchema):
        first = ma.fields.Integer()
        second = ma.fields.Integer()

    assert PairSchema().dump({"second": 2, "first": 1, "third": 3}) == {"first": 1, "second": 2}
