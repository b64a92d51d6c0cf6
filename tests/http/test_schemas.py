"""The fast serialization of responses matches marshmallow's own."""

import json
from typing import Any

import marshmallow as ma
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_smorest.pagination import PaginationMixin, PaginationParameters

from bookings_api.accounts.schemas import UserSchema
from bookings_api.api_keys.schemas import ApiKeySchema, ApiKeyWithSecretSchema
from bookings_api.auth.schemas import TokenSchema
from bookings_api.bookings.schemas.bookings import BookingSchema, EmailSchema
from bookings_api.bookings.schemas.payments import PaymentSchema
from bookings_api.bookings.schemas.previews import BookingPreviewSchema, RefusalSchema
from bookings_api.check_in.schemas import DoorListEntrySchema
from bookings_api.database.listing import Listing, Order
from bookings_api.events.schemas.responses import EventSchema, ListedEventSchema
from bookings_api.extensions import db
from bookings_api.http.json import json_body
from bookings_api.http.pagination import fetch_page, page_headers
from bookings_api.http.problems import FieldErrorSchema, ProblemSchema
from bookings_api.http.schemas import ResponseSchema
from bookings_api.models import (
    ApiKey,
    Booking,
    Event,
    OutboxEmail,
    OwnOrganization,
    Payment,
    Person,
    TeamEntry,
    TicketType,
)
from bookings_api.organizations.schemas import OrganizationSchema
from bookings_api.teams.schemas import TeamMemberSchema
from bookings_api.ticket_types.schemas import CapacitySchema, ItemSchema, TicketTypeSchema, TypeCapacitySchema
from bookings_api.users.schemas import ExportSchema
from tests.factories import add_to_team, book, book_for_guest, make_event, make_key, make_organizer, make_user
from tests.payments import book_priced, pay

ROWS = [
    (EventSchema, Event), (ListedEventSchema, Event), (BookingSchema, Booking), (EmailSchema, OutboxEmail),
    (UserSchema, Person), (ApiKeySchema, ApiKey), (OrganizationSchema, OwnOrganization),
    (TeamMemberSchema, TeamEntry), (TicketTypeSchema, TicketType), (DoorListEntrySchema, Booking),
    (PaymentSchema, Payment),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "model"), ROWS)
@pytest.mark.usefixtures("context")
def test_rows_and_pages_are_serialized_exactly_as_by_marshmallow(
    app: Flask, client: FlaskClient, schema: type[ResponseSchema], model: type[Any]
) -> None:
    user, organizer = make_user(client), make_organizer(client)
    event = make_event(client, organizer, booking_opens_at="2020-01-01T00:00:00.5+02:00")
    make_key(client, organizer, event_ids=[event["id"]])
    book_for_guest(client, make_key(client, organizer), event, external_id="order-1", metadata={"seat": "12"})
    add_to_team(client, organizer, event, make_user(client), "check_in")
    pay(client, organizer, book_priced(client, user, organizer))
    booking = book(client, user, event).json
    client.delete(f"/api/v1/bookings/{booking['id']}", headers=user.headers)
    items, selected = schema(many=True), sa.select(model).order_by(*sa.inspect(model).primary_key)
    rows = db.session.scalars(selected).all()
    listing = Listing(selected, {}, Order(*sa.inspect(model).primary_key), is_filtered=False)
    page = fetch_page(listing, items, PaginationParameters(1, 100))

    expected = json.loads(json.dumps(ma.Schema.dump(items, rows)))

    assert expected
    assert json.loads(json_body(items.dump(rows))) == expected
    assert json.loads(json_body(page)) == expected


def test_every_row_schema_is_tested() -> None:
    def below(base: type[ResponseSchema]) -> set[type[ResponseSchema]]:
        return {*base.__subclasses__()} | {schema for child in base.__subclasses__() for schema in below(child)}

    ours = {schema for schema in below(ResponseSchema) if schema.__module__.startswith("bookings_api.")}
    without_rows = {
        ItemSchema,
        BookingPreviewSchema,
        RefusalSchema,
        CapacitySchema,
        TypeCapacitySchema,
        TokenSchema,
        ApiKeyWithSecretSchema,
        ExportSchema,
        ProblemSchema,
        FieldErrorSchema,
    }
    assert ours == {schema for schema, _ in ROWS} | without_rows


def test_pagination_metadata_matches_flask_smorest() -> None:
    app = Flask(__name__)
    for total in range(8):
        for number in range(1, 6):
            page = PaginationParameters(number, 2)
            page.item_count = total
            with app.test_request_context():
                position = json.loads(page_headers(page)["X-Pagination"])
            assert position == PaginationMixin._make_pagination_metadata(number, 2, total)  # noqa: SLF001 - what flask-smorest would send


def test_a_mapping_is_serialized_by_name_without_unknown_keys() -> None:
    class PairSchema(ResponseSchema):
        first = ma.fields.Integer()
        second = ma.fields.Integer()

    assert PairSchema().dump({"second": 2, "first": 1, "third": 3}) == {"first": 1, "second": 2}
