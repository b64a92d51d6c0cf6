"""The field types that every schema is made of: strict, bounded, and with their limits in the OpenAPI document."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import available_timezones

import marshmallow as ma
from email_validator import EmailNotValidError, validate_email

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
MAX_EMAIL = 254

# Controls and surrogates, and line and paragraph separators, which Python and mail treat as line ends.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Embeddings, overrides and isolates (UAX 9) make a text read otherwise than it is stored.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Names that tzdata has for the machine's own setting, and for none.
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
_ASCII_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class Text(ma.fields.String):
    """Text in any script, NFC-normalised and stripped, of `min_length` to `max_length` characters.

    Without control, surrogate and bidirectional-override characters; `multiline` allows line feeds and tabs.
    """

    default_error_messages = {"characters": "Contains a character that is not allowed: U+{code:04X}."}

    def __init__(self, *, max_length: int, min_length: int = 1, multiline: bool = False, **kwargs: Any) -> None:
        super().__init__(validate=[ma.validate.Length(min_length, max_length)], **kwargs)
        self.allowed = frozenset("\n\t") if multiline else frozenset()

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = unicodedata.normalize("NFC", super()._deserialize(value, attr, data, **kwargs))
        if self.allowed:
            text = text.replace("\r\n", "\n")
        for character in text:
            if character in self.allowed:
                continue
            if unicodedata.category(character) in _FORBIDDEN_CATEGORIES or character in _BIDI_CONTROLS:
                raise self.make_error("characters", code=ord(character))
        return self._trim(text)

    def _trim(self, text: str) -> str:
        return text.strip()


class Password(Text):
    """A password: text as above, but every space in it counts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(load_only=True, **kwargs)
        self.metadata = {"format": "password", "example": "correct horse battery", **self.metadata}

    def _trim(self, text: str) -> str:
        return text


class Integer(ma.fields.Integer):
    """A JSON integer between `minimum` and `maximum`; neither a fraction nor a text nor a boolean."""

    def __init__(self, *, minimum: int, maximum: int, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=[ma.validate.Range(minimum, maximum)], **kwargs)


class QueryInteger(Integer):
    """An integer of a query string: ASCII digits only, so neither `1_000` nor digits of other scripts."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not _ASCII_INTEGER.fullmatch(value):
            raise self.make_error("invalid")
        return super()._deserialize(int(value), attr, data, **kwargs)


class QueryBoolean(ma.fields.Boolean):
    """`true` or `false` in a query string."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(truthy={"true"}, falsy={"false"}, **kwargs)


class Boolean(ma.fields.Boolean):
    """JSON `true` or `false`; neither 1 nor "yes"."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Choice(ma.fields.String):
    """One of the given members of an enumeration, by its value."""

    def __init__(self, *members: StrEnum, **kwargs: Any) -> None:
        self._members = {member.value: member for member in members}
        super().__init__(validate=[ma.validate.OneOf(list(self._members))], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        return self._members.get(text, text)  # what is none of them is left to the validator


class Instant(ma.fields.AwareDateTime):
    """A moment as RFC 3339 text with an offset, kept in UTC; years 2000 to 2200 after that conversion."""

    default_error_messages = {"range": "Must lie between the years 2000 and 2200."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        try:
            moment: datetime = super()._deserialize(value, attr, data, **kwargs).astimezone(UTC)
        except OverflowError:
            raise self.make_error("range") from None
        if not EARLIEST <= moment < LATEST:
            raise self.make_error("range")
        return moment


class TimeZone(ma.fields.String):
    """The name of a time zone of the IANA database, for example `Europe/Berlin`."""

    default_error_messages = {"zone": "Not the name of an IANA time zone."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=[ma.validate.Length(1, 64)], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        name = super()._deserialize(value, attr, data, **kwargs)
        if name in _NO_ZONES or name not in available_timezones():
            raise self.make_error("zone")
        return name


class EmailAddress(ma.fields.Email):
    """An e-mail address as it travels by SMTP: an ASCII local part, its domain in lower case and IDNA form."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=[ma.validate.Length(max=MAX_EMAIL)], **kwargs)
        # marshmallow's pattern would stand in the document, though another library decides
        self.validators = [check for check in self.validators if isinstance(check, ma.validate.Length)]

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        address = super()._deserialize(value, attr, data, **kwargs)
        if len(address) > MAX_EMAIL:
            return address  # the length is told by the validator, and costs no parsing
        try:
            checked = validate_email(address.strip(), check_deliverability=False, allow_smtputf8=False)
        except EmailNotValidError as error:
            raise ma.ValidationError(str(error)) from None
        if "=?" in checked.local_part:  # mail programs would decode it, and send to somebody else (RFC 2047)
            raise ma.ValidationError("Must not contain =? before the @-sign.")
        return checked.ascii_email or checked.normalized
