"""Schemas for confirming bookings, and for payments."""

from typing import Any

import marshmallow as ma

from bookings_api.http.fields import Currency, Integer, QueryBoolean, Text
from bookings_api.http.openapi.examples import BOOKED_AT, BOOKING_ID, PAYMENT_ID, PAYMENT_REFERENCE
from bookings_api.http.schemas import BaseSchema, PageQuerySchema, ResponseSchema
from bookings_api.models import PaymentRefusal
from bookings_api.models.payment import MAX_PAYMENT, MAX_PAYMENT_REFERENCE, MAX_PROVIDER

_PROVIDER = "The payment provider, such as `stripe`, in lower case."
_REFERENCE = "The provider's identifier of the payment."
_AMOUNT = "The amount that was paid, in minor units of `currency`, such as cents."
_CURRENCY = "The ISO 4217 code of the currency that was paid."


class _LowerCase(Text):
    """Text that is converted to lower case before its length is checked."""

    def _deserialize(self, *args: Any, **kwargs: Any) -> str:
        return super()._deserialize(*args, **kwargs).lower()


class ReportedPaymentSchema(BaseSchema):
    """A payment that a customer has made."""

    provider = _LowerCase(
        max_length=MAX_PROVIDER,
        required=True,
        metadata={"description": "The payment provider, such as `stripe`. Case does not matter.", "example": "stripe"},
    )
    reference = Text(
        max_length=MAX_PAYMENT_REFERENCE,
        required=True,
        metadata={"description": _REFERENCE, "example": PAYMENT_REFERENCE},
    )
    amount = Integer(minimum=1, maximum=MAX_PAYMENT, required=True, metadata={"description": _AMOUNT, "example": 3600})
    currency = Currency(required=True, metadata={"description": _CURRENCY, "example": "EUR"})


class ConfirmationSchema(BaseSchema):
    """The confirmation of a booking, with the payment if an amount is due."""

    payment = ma.fields.Nested(
        ReportedPaymentSchema,
        metadata={
            "description": "The payment. Required if an amount is due. Only organizers and API keys can send it.",
            "example": ReportedPaymentSchema.example(),
        },
    )


class PaymentSchema(ResponseSchema):
    """A payment for a booking."""

    id = ma.fields.UUID(required=True, metadata={"description": "The ID of the payment.", "example": PAYMENT_ID})
    booking_id = ma.fields.UUID(
        required=True, metadata={"description": "The ID of the booking.", "example": BOOKING_ID}
    )
    provider = ma.fields.String(required=True, metadata={"description": _PROVIDER, "example": "stripe"})
    reference = ma.fields.String(required=True, metadata={"description": _REFERENCE, "example": PAYMENT_REFERENCE})
    amount = ma.fields.Integer(required=True, metadata={"description": _AMOUNT, "example": 3600})
    currency = ma.fields.String(required=True, metadata={"description": _CURRENCY, "example": "EUR"})
    refusal = ma.fields.Enum(
        PaymentRefusal,
        by_value=ma.fields.String,
        required=True,
        allow_none=True,
        metadata={
            "description": "Why the payment did not confirm the booking. `null` if it did.",
            "example": None,
        },
    )
    amount_to_refund = ma.fields.Integer(
        required=True,
        metadata={"description": "The amount to refund, in minor units of `currency`.", "example": 0},
    )
    created_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the payment was reported.", "example": BOOKED_AT}
    )


class PaymentQuerySchema(PageQuerySchema):
    """Filters for an event's payments."""

    refund_due = QueryBoolean(
        metadata={
            "description": "Return only payments that must be refunded, fully or partly (`true`), or not (`false`)."
        }
    )
