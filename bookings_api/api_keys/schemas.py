"""Schemas for API keys."""

from typing import Any

import marshmallow as ma

from bookings_api.http.fields import Choice, Identifier, Instant, Integer, Text
from bookings_api.http.openapi.examples import (
    API_KEY_ID,
    API_KEY_NAME,
    API_KEY_SECRET,
    OLIVIA_ID,
    PUBLISHED_AT,
)
from bookings_api.http.schemas import BaseSchema, ResponseSchema
from bookings_api.models import Scope
from bookings_api.models.api_key import HINT_LENGTH

MAX_EVENTS = 100
MAX_OVERLAP_MINUTES = 7 * 24 * 60

# All scopes except `webhooks`, which no operation uses yet
_SCOPES = (Scope.EVENTS_READ, Scope.EVENTS_WRITE, Scope.BOOKINGS_READ, Scope.BOOKINGS_WRITE, Scope.CHECK_IN)
_EXAMPLE_SCOPES = [Scope.BOOKINGS_READ.value, Scope.BOOKINGS_WRITE.value]

_NAME = "The key's name, such as the name of the program that uses it."
_SCOPES_TEXT = "What the key may do."
_EVENTS_TEXT = (
    "The IDs of the events that the key is restricted to. `null` means that the key is not restricted to certain"
    " events. Regardless of this field, a key whose creator was not an owner works only for events that the creator"
    " organizes."
)
_EXPIRES_TEXT = "When the key stops working. `null` means never."


class ApiKeySchema(ResponseSchema):
    """An organization's API key, without its secret."""

    id = ma.fields.UUID(required=True, metadata={"description": "The ID of the key.", "example": API_KEY_ID})
    name = ma.fields.String(required=True, metadata={"description": _NAME, "example": API_KEY_NAME})
    scopes = ma.fields.List(
        Choice(*Scope),
        required=True,
        metadata={"description": _SCOPES_TEXT, "example": _EXAMPLE_SCOPES},
    )
    event_ids = ma.fields.List(
        ma.fields.UUID(), required=True, allow_none=True, metadata={"description": _EVENTS_TEXT, "example": None}
    )
    hint = ma.fields.String(
        required=True,
        metadata={
            "description": "The beginning of the secret, which identifies the key in lists and logs.",
            "example": API_KEY_SECRET[:HINT_LENGTH],
        },
    )
    created_by_id = ma.fields.UUID(
        required=True,
        metadata={
            "description": "The ID of the account that created or took over the key. This account becomes the organizer"
            " of events created with the key.",
            "example": OLIVIA_ID,
        },
    )
    expires_at = ma.fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": _EXPIRES_TEXT, "example": None}
    )
    previous_secret_expires_at = ma.fields.AwareDateTime(
        attribute="previous_expires_at",
        required=True,
        allow_none=True,
        metadata={
            "description": "When the previous secret stops working. `null` if the key was never rotated.",
            "example": None,
        },
    )
    last_used_at = ma.fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={
            "description": "When the key was last used. Updated at most once a minute. `null` if it was never used.",
            "example": None,
        },
    )
    version = ma.fields.Integer(
        required=True,
        metadata={
            "description": "The version of the key. Each change or rotation increases the version by 1.",
            "example": 1,
        },
    )
    created_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the key was created.", "example": PUBLISHED_AT}
    )


class ApiKeyWithSecretSchema(ApiKeySchema):
    """An API key with its new secret."""

    secret = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": (
                "The secret. Only this response contains it. `null` if you repeat the request with the same"
                " `Idempotency-Key`, because the secret is not stored. If you have lost the secret, rotate the key."
            ),
            "example": API_KEY_SECRET,
        },
    )


class _UniqueList(ma.fields.List[Any]):
    """A list of 1 to `maximum` values without duplicates."""

    default_error_messages = {"duplicate": "Must not contain duplicates."}

    def __init__(self, item: ma.fields.Field[Any], *, maximum: int, **kwargs: Any) -> None:
        super().__init__(item, validate=[ma.validate.Length(1, maximum)], **kwargs)
        self.metadata = {"uniqueItems": True, **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        values: list[Any] = super()._deserialize(value, attr, data, **kwargs)
        if len(set(values)) < len(values):
            raise self.make_error("duplicate")
        return values


def _event_ids() -> _UniqueList:
    return _UniqueList(Identifier(), maximum=MAX_EVENTS, allow_none=True, metadata={"description": _EVENTS_TEXT})


def _expires_at() -> Instant:
    return Instant(allow_none=True, metadata={"description": f"{_EXPIRES_TEXT} Must be in the future."})


class ApiKeyCreateSchema(BaseSchema):
    """A new API key."""

    name = Text(max_length=100, required=True, metadata={"description": _NAME, "example": API_KEY_NAME})
    scopes = _UniqueList(
        Choice(*_SCOPES),
        maximum=len(_SCOPES),
        required=True,
        metadata={"description": _SCOPES_TEXT, "example": _EXAMPLE_SCOPES},
    )
    event_ids = _event_ids()
    expires_at = _expires_at()


class ApiKeyChangeSchema(BaseSchema):
    """The fields to change. Omitted fields keep their values."""

    name = Text(max_length=100, metadata={"description": _NAME, "example": "Box office"})
    scopes = _UniqueList(Choice(*_SCOPES), maximum=len(_SCOPES), metadata={"description": _SCOPES_TEXT})
    event_ids = _event_ids()
    expires_at = _expires_at()


class RotationSchema(BaseSchema):
    """How long the previous secret keeps working."""

    overlap_minutes = Integer(
        minimum=0,
        maximum=MAX_OVERLAP_MINUTES,
        load_default=60,
        metadata={
            "description": "How many minutes the previous secret keeps working while you replace it everywhere.",
            "example": 60,
        },
    )
