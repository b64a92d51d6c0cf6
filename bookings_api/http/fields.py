"""The field types that every schema is made of: strict, bounded, and with their limits in the OpenAPI document."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any
from zoneinfo import available_timezones

import marshmallow as ma
from email_validator import EmailNotValidError, validate_email

from bookings_api.http.openapi.examples import PASSWORD

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
MAX_EMAIL = 254

# Controls and surrogates, and line and paragraph separators, which Python and mail treat as line ends.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Embeddings, overrides and isolates (UAX 9) make a text read otherwise than it is stored.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Names that tzdata has for the machine's own setting, and for none.
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
# RFC 3339, section 5.6; Python also reads weeks, basic forms, and moments without seconds.
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# RFC 9562, section 4; Python also reads braces, a urn: and any dashes.
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
# A full stop within a word: what it ends, what it begins, and whether that goes on as only an address does.
_INNER_STOP = re.compile(r"(?<![\w-])([\w-]*)\.(?=(\w+)([/:?#@]\S)?)")
# What a name may hold before one: an initial, a title, and in the scripts from Hebrew to Lao what stands for one.
_ABBREVIATION = re.compile(
    r"-?([^\W\d_]|dr|fr|hr|jr|mme|mr|mrs|ms|ph|prof|rev|sr|st|[\u0590-\u0eff]{2,3})", re.IGNORECASE
)
# What ends so is an address, though its host has but one letter.
_COMMON_ENDS = frozenset({"com", "net", "org"})
# Joiners and marks, of which some leave no trace in a host name.
_UNSEEN_CATEGORIES = frozenset({"Cf", "Mn", "Mc", "Me"})
# An e-mail address in the place of a name is none of the web: who has given no name is called by it.
_EMAIL = re.compile(r"[^\s@/:?#]+@[\w.-]+")
# The most combining marks in a row that text in use has (UAX 15, Stream-Safe Text Format); sorting more is slow.
_MAX_MARKS = 30
_ASCII_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)

# Walking through the file system for them takes longer than all else that a field does.
_zones = cache(available_timezones)


def _pattern(*, multiline: bool, visible: bool) -> str:
    """What JSON Schema can say of the characters of a text, for the document."""
    controls = "\\u0000-\\u0008\\u000b-\\u001f" if multiline else "\\u0000-\\u001f"
    forbidden = controls + r"\u007f-\u009f\u2028-\u202e\u2066-\u2069"
    allowed = f"[^{forbidden}]*"
    unseen = r"\s\u00ad\u061c\u180e\u200b-\u200f\u2060-\u2065\ufeff\ue000-\uf8ff"
    return f"^{allowed}[^{forbidden}{unseen}]{allowed}$" if visible else f"^{allowed}$"


class Text(ma.fields.String):
    """Text in any script, NFC-normalised and stripped, of `min_length` to `max_length` characters.

    Without control, surrogate and bidirectional-override characters; `multiline` allows line feeds and tabs. Unless
    it may be empty, something of it is seen: joiners, which many scripts need within a word, make no text alone.
    """

    default_error_messages = {
        "marks": "Contains too many combining marks in a row.",
        "characters": "Contains a character that is not allowed: U+{code:04X}.",
        "invisible": "Must contain something that can be seen.",
    }

    def __init__(self, *, max_length: int, min_length: int = 1, multiline: bool = False, **kwargs: Any) -> None:
        super().__init__(validate=[ma.validate.Length(min_length, max_length)], **kwargs)
        self.max_length = max_length
        self.allowed = frozenset("\n\t") if multiline else frozenset()
        self.metadata = {"pattern": _pattern(multiline=multiline, visible=min_length > 0), **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if len(text) > 4 * self.max_length:  # no composition makes that short enough
            return text  # the length is told by the validator
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
        """Or normalising takes seconds: its time grows with the square of how many there are."""
        marks = 0
        for character in text:
            marks = marks + 1 if unicodedata.combining(character) else 0
            if marks > _MAX_MARKS:
                raise self.make_error("marks")

    def _trim(self, text: str) -> str:
        return text.strip()


class Name(Text):
    """The name of a person, which stands in mail that anybody can have sent to a stranger: it holds no web address.

    Titles and descriptions are plain `Text`: they belong to organizers, who may well name their website.
    """

    default_error_messages = {"address": "Must not hold a web address; within a name, write a space after a full stop."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=100, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        name = super()._deserialize(value, attr, data, **kwargs)
        if len(name) <= self.max_length and _holds_web_address(name):
            raise self.make_error("address")
        return name


def _holds_web_address(name: str) -> bool:
    """Whether mail programs may make a link of something in it: of a scheme, or of a full stop within a word."""
    # they see through compatibility forms, such as full-width letters and dots, and what a host name drops (UTS 46)
    plain = unicodedata.normalize("NFKC", name).replace("\u3002", ".")
    seen = "".join(char for char in plain if unicodedata.category(char) not in _UNSEEN_CATEGORIES)
    if _EMAIL.fullmatch(seen):
        return False
    return "://" in seen or any(
        goes_on or not _begins_a_name(after) or not _ABBREVIATION.fullmatch(before)
        for before, after, goes_on in _INNER_STOP.findall(seen)
    )


def _begins_a_name(word: str) -> bool:
    """A capital letter, or one of a script that has none."""
    return word[0].isalpha() and not word[0].islower() and word.lower() not in _COMMON_ENDS


class Identifier(ma.fields.UUID):
    """A UUID as RFC 9562 writes it, with its four dashes."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not _UUID.fullmatch(value):
            raise self.make_error("invalid_uuid")
        return super()._deserialize(value, attr, data, **kwargs)


class Password(Text):
    """A password: text as above, but every space in it counts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(load_only=True, **kwargs)
        self.metadata = {"format": "password", "example": PASSWORD, **self.metadata}

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
        self.enumeration = type(members[0])
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
        bounds = {"x-formatMinimum": EARLIEST.isoformat(), "x-formatExclusiveMaximum": LATEST.isoformat()}
        self.metadata = {**bounds, **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        try:
            # RFC 3339 allows a small t and z, Python does not
            moment: datetime = super()._deserialize(value.upper(), attr, data, **kwargs).astimezone(UTC)
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
        if name in _NO_ZONES or name not in _zones():
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
            checked = validate_email(  # strict: a local part of 64 octets at most (RFC 5321, section 4.5.3.1.1)
                address.strip(), check_deliverability=False, allow_smtputf8=False, strict=True
            )
        except EmailNotValidError as error:
            raise ma.ValidationError(str(error)) from None
        if "=?" in checked.local_part:  # mail programs would decode it, and send to somebody else (RFC 2047)
            raise ma.ValidationError("Must not contain =? before the @-sign.")
        return checked.ascii_email or checked.normalized
