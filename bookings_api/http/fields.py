"""Strict field types for request schemas. They limit the size of values, and document these limits in OpenAPI."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any
from zoneinfo import available_timezones

import flask
import iso4217
import marshmallow as ma

from bookings_api.email_addresses import checked_address
from bookings_api.http.openapi.examples import PASSWORD
from bookings_api.text import has_link

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
MAX_EMAIL = 254

# Control characters, surrogates, and the line and paragraph separators, which Python and email treat as line breaks
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Embeddings, overrides and isolates (UAX 9), which make text look different from how it is stored
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Names in tzdata that mean the machine's time zone or no time zone
_PSEUDO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
# RFC 3339, section 5.6. Python also parses weeks, basic formats and times without seconds.
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# RFC 9562, section 4. Python also parses braces, urn: and misplaced hyphens.
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
# Legitimate text has at most this many combining marks in a row (UAX 15, Stream-Safe Text Format).
_MAX_MARKS = 30
_ASCII_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)

_CURRENCIES = frozenset(currency.code for currency in iso4217.Currency if currency.exponent is not None)
# Cached, because `available_timezones` walks the file system.
_time_zones = cache(available_timezones)


def _pattern(*, multiline: bool, visible: bool) -> str:
    """Return a JSON Schema pattern for the allowed characters. `Text` is stricter than a pattern can express."""
    controls = "\\u0000-\\u0008\\u000b-\\u001f" if multiline else "\\u0000-\\u001f"
    forbidden = controls + r"\u007f-\u009f\u2028-\u202e\u2066-\u2069"
    allowed = f"[^{forbidden}]*"
    unseen = r"\s\u00ad\u061c\u180e\u200b-\u200f\u2060-\u2065\ufeff\ue000-\uf8ff"
    return f"^{allowed}[^{forbidden}{unseen}]{allowed}$" if visible else f"^{allowed}$"


class Text(ma.fields.String):
    """Text of `min_length` to `max_length` characters in any script, normalized to NFC and stripped.

    Rejects control characters, line separators, surrogates, bidirectional controls, and long runs of combining marks.
    `multiline` allows line feeds and tabs. Text that is not empty must contain a visible character. Joiners are
    allowed, because many scripts need them.
    """

    default_error_messages = {
        "marks": "Must not contain more than {limit} combining marks in a row.",
        "characters": "Must not contain the character U+{code:04X}.",
        "invisible": "Must contain a visible character.",
    }

    def __init__(self, *, max_length: int, min_length: int = 1, multiline: bool = False, **kwargs: Any) -> None:
        super().__init__(validate=[ma.validate.Length(min_length, max_length)], **kwargs)
        self.max_length = max_length
        self.allowed = frozenset("\n\t") if multiline else frozenset()
        self.metadata = {"pattern": _pattern(multiline=multiline, visible=min_length > 0), **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if len(text) > 4 * self.max_length:  # too long even after composition
            return text  # the validator rejects it
        self._require_few_marks(text)
        text = unicodedata.normalize("NFC", text)
        if self.allowed:
            text = text.replace("\r\n", "\n")
        for character in text:
            if character in self.allowed:
                continue
            if unicodedata.category(character) in _FORBIDDEN_CATEGORIES or character in _BIDI_CONTROLS:
                raise self.make_error("characters", code=ord(character))
        text = self._trim(text)
        if text and all(unicodedata.category(character)[0] in "CZ" for character in text):
            raise self.make_error("invisible")
        return text

    def _require_few_marks(self, text: str) -> None:
        """Reject long runs of combining marks. The time to normalize a run grows with the square of its length."""
        marks = 0
        for character in text:
            marks = marks + 1 if unicodedata.combining(character) else 0
            if marks > _MAX_MARKS:
                raise self.make_error("marks", limit=_MAX_MARKS)

    def _trim(self, text: str) -> str:
        return text.strip()


class EmailedText(Text):
    """Text without links, for fields that appear in emails to other people."""

    default_error_messages = {"link": "Must not contain a link. Remove :// and www."}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if len(text) <= self.max_length and has_link(text):  # the validator rejects longer text
            raise self.make_error("link")
        return text


class Name(EmailedText):
    """The name of a person or an organization."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=100, **kwargs)


class Identifier(ma.fields.UUID):
    """A UUID in RFC 9562 notation, with four hyphens."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not _UUID.fullmatch(value):
            raise self.make_error("invalid_uuid")
        return super()._deserialize(value, attr, data, **kwargs)


class Password(Text):
    """A password: text that keeps leading and trailing spaces."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(load_only=True, **kwargs)
        self.metadata = {"format": "password", "example": PASSWORD, **self.metadata}

    def _trim(self, text: str) -> str:
        return text


class Integer(ma.fields.Integer):
    """A JSON integer between `minimum` and `maximum`. Rejects fractions, strings and booleans."""

    def __init__(self, *, minimum: int, maximum: int, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=[ma.validate.Range(minimum, maximum)], **kwargs)


class QueryInteger(Integer):
    """An integer in a query string. Rejects `1_000` and non-ASCII digits, which Python accepts."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not _ASCII_INTEGER.fullmatch(value):
            raise self.make_error("invalid")
        return super()._deserialize(int(value), attr, data, **kwargs)


class QueryBoolean(ma.fields.Boolean):
    """`true` or `false` in a query string."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(truthy={"true"}, falsy={"false"}, **kwargs)


class Boolean(ma.fields.Boolean):
    """JSON `true` or `false`. Rejects `1` and `"yes"`."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Choice(ma.fields.String):
    """One of the given enum members, selected by its value."""

    def __init__(self, *members: StrEnum, **kwargs: Any) -> None:
        self.enumeration = type(members[0])
        self._members = {member.value: member for member in members}
        super().__init__(validate=[ma.validate.OneOf(list(self._members))], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        return self._members.get(text, text)  # the validator rejects other values


class StringMap(ma.fields.Dict):
    """A JSON object with at most `max_pairs` members. Values are text and may be empty."""

    default_error_messages = {"pairs": "Must have at most {limit} members."}

    def __init__(self, *, max_pairs: int, max_key_length: int, max_value_length: int, **kwargs: Any) -> None:
        values = Text(max_length=max_value_length, min_length=0)
        super().__init__(keys=Text(max_length=max_key_length), values=values, **kwargs)
        self._max_pairs = max_pairs
        self.metadata = {
            "maxProperties": max_pairs,
            "propertyNames": {"minLength": 1, "maxLength": max_key_length},
            **self.metadata,
        }

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, Mapping) and len(value) > self._max_pairs:
            raise self.make_error("pairs", limit=self._max_pairs)
        return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call] # in marshmallow


class Instant(ma.fields.AwareDateTime):
    """An RFC 3339 timestamp in the years 2000 to 2199, converted to UTC."""

    default_error_messages = {
        "invalid": "Must be an RFC 3339 timestamp such as 2099-06-19T19:30:00+02:00. In a URL, write + as %2B.",
        "range": "Must be between the years 2000 and 2199 (UTC).",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)
        bounds = {"x-formatMinimum": EARLIEST.isoformat(), "x-formatExclusiveMaximum": LATEST.isoformat()}
        self.metadata = {**bounds, **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        try:
            # unlike RFC 3339, Python does not allow a lower-case t and z
            moment: datetime = super()._deserialize(value.upper(), attr, data, **kwargs).astimezone(UTC)
        except OverflowError:
            raise self.make_error("range") from None
        if not EARLIEST <= moment < LATEST:
            raise self.make_error("range")
        return moment


class TimeZone(ma.fields.String):
    """The name of an IANA time zone, such as `Europe/Berlin`."""

    default_error_messages = {"zone": "Must be the name of an IANA time zone, such as Europe/Berlin."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=[ma.validate.Length(1, 64)], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        name = super()._deserialize(value, attr, data, **kwargs)
        if name in _PSEUDO_ZONES or name not in _time_zones():
            raise self.make_error("zone")
        return name


class Currency(ma.fields.String):
    """The ISO 4217 code of a currency with minor units, such as `EUR`. Excludes codes for metals and for testing."""

    default_error_messages = {"currency": "Must be the ISO 4217 code of a currency, such as EUR."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=[ma.validate.Length(3, 3)], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        code = super()._deserialize(value, attr, data, **kwargs)
        if code not in _CURRENCIES:
            raise self.make_error("currency")
        return code


class EmailAddress(ma.fields.Email):
    """A new email address, with an ASCII local part. The domain is lowercased and IDNA-encoded."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=[ma.validate.Length(max=MAX_EMAIL)], **kwargs)
        # without marshmallow's own check, because its pattern would appear in the OpenAPI document
        self.validators = [check for check in self.validators if isinstance(check, ma.validate.Length)]

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        address = super()._deserialize(value, attr, data, **kwargs)
        if len(address) > MAX_EMAIL:
            return address  # the validator rejects it
        try:
            return checked_address(address, intranet_domains=flask.current_app.config["EMAIL_INTRANET_DOMAINS"])
        except ValueError as error:
            raise ma.ValidationError(str(error)) from None


class AccountEmail(Text):
    """The email of an existing account. Also accepts old addresses that `EmailAddress` would reject."""

    default_error_messages = {"address": "Must contain an @ sign."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_EMAIL, **kwargs)
        self.metadata = {**self.metadata, "pattern": "@"}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        # stripped first, because users often copy an address with tabs or line breaks, which text must not contain
        stripped = value.strip() if isinstance(value, str) else value
        address = super()._deserialize(stripped, attr, data, **kwargs)
        if "@" not in address:
            raise self.make_error("address")
        return address
