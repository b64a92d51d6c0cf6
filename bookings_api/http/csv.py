"""Lists as CSV files (RFC 4180) for spreadsheets.

A file contains the whole list. Rows are read in batches by keyset pagination, and each batch is sent before the next
batch is read. This limits memory use, and slow clients do not occupy a database connection. A row that exists
throughout the download appears exactly once. If the database fails during the download, the response ends without the
final chunk, and clients report an error (RFC 9112, section 8). HTTP/1.0 has no chunks, so HTTP/1.0 requests are
rejected.

To prevent formula injection (OWASP, "CSV Injection"), an apostrophe is inserted before text that spreadsheets evaluate,
both at the start of a field and after any character that Excel may use as a separator.

Text that looks like a number, date, time, truth value or error also gets an apostrophe. Otherwise, spreadsheets would
convert even quoted text: 0012345 to 12345, and 1/2 to a date. This covers only the English names of months, truth
values and errors.

Every field is quoted. The file starts with a byte order mark, because Excel otherwise misreads UTF-8.
"""

import csv
import io
import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import flask
import orjson
import sqlalchemy as sa
from flask_smorest import abort
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import HTTPVersionNotSupported

from bookings_api.extensions import db
from bookings_api.http.fields import Choice
from bookings_api.http.files import FILE_NAME, file_name
from bookings_api.http.json import JSON
from bookings_api.http.schemas import DEFAULT_PAGE_SIZE, PageQuerySchema, ResponseSchema
from bookings_api.observability.logging import bound_request_id, current_request_id

logger = logging.getLogger(__name__)

CSV = "text/csv"
BATCH = 500

CSV_FILE = {"content_type": CSV, "schema": {"type": "string"}, "headers": FILE_NAME}
ALSO_CSV = "JSON, or CSV if the `Accept` header prefers CSV"

# The only values of these parameters that a request for CSV may have. Swagger UI always sends the default `page_size`.
_WHOLE_LIST = {"page": "1", "page_size": str(DEFAULT_PAGE_SIZE), "after": None}

_BYTE_ORDER_MARK = "\ufeff"
_WIDE_OPERATORS = r"\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
_INVISIBLE = r"\s\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_FORMULA = re.compile(rf"(^|[,;\t\r\n])(?=[\"{_INVISIBLE}]*[=+\-@{_WIDE_OPERATORS}]|[\t\r\n])")
_WORD = re.compile(r"[^\W\d_]+")
_DIGIT = re.compile(r"\d")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
# Spreadsheets read text as a number (1E5), date (1-Mar) or time (7 PM) if it has digits and no words except these.
_IN_NUMBERS = frozenset(["e", "a", "p", "m", "am", "pm", "sept", *_MONTHS, *(month[:3] for month in _MONTHS)])
_CONSTANTS = frozenset(["TRUE", "FALSE", "#N/A", "#REF!", "#DIV/0!", "#NAME?", "#NUM!", "#VALUE!", "#NULL!"])

# Held while a batch is built, so that downloads delay the process's other requests by at most one batch. Downloads that
# wait for the lock hold no database connection.
batch_lock = threading.Lock()
LOCK_TIMEOUT_SECONDS = 15


class Separator(StrEnum):
    """The character between fields. Spreadsheets expect a semicolon in countries that use a decimal comma."""

    COMMA = "comma"
    SEMICOLON = "semicolon"
    TAB = "tab"


_CHARACTERS = {Separator.COMMA: ",", Separator.SEMICOLON: ";", Separator.TAB: "\t"}


class CsvQuerySchema(PageQuerySchema):
    """Query parameters of lists that are also available as CSV files."""

    separator = Choice(
        *Separator,
        load_default=Separator.COMMA,
        metadata={"description": "The character that separates the fields in a CSV file. Ignored for JSON."},
    )


@dataclass(frozen=True)
class CsvFile:
    """A CSV file. `name` can contain path parameters in braces. Rows are sorted by the unique column `key`."""

    name: str
    key: InstrumentedAttribute[Any]


def is_preferred() -> bool:
    """Whether the request's `Accept` prefers CSV to JSON (RFC 9110, section 12.5.1).

    Returns False if the header is missing or accepts neither type.
    """
    accepted = [(kind.partition(";")[0].strip(), quality) for kind, quality in flask.request.accept_mimetypes]
    return MIMEAccept(accepted).best_match([JSON, CSV]) == CSV


def csv_file(
    query: sa.Select[Any], schema: ResponseSchema, file: CsvFile, separator: Separator, **path: Any
) -> flask.Response:
    """Return a CSV response with all rows of `query`, and a column for each member of `schema`.

    Reads the first batch immediately, so database errors are raised before the response starts. Raises SQLAlchemy's
    `TimeoutError` if other downloads take too long, and `HTTPException` for HTTP/1.0 requests and for requests with
    pagination parameters.
    """
    pages = [name for name, value in _WHOLE_LIST.items() if flask.request.args.get(name, value) != value]
    if pages:
        abort(422, messages={"query": {name: ["Not supported for CSV. Omit this parameter."] for name in pages}})
    if flask.request.environ["SERVER_PROTOCOL"] == "HTTP/1.0":
        raise HTTPVersionNotSupported("CSV downloads require HTTP/1.1 so that a truncated file can be detected.")
    batches = _batches(db.engine, query, schema, file.key, _CHARACTERS[separator])
    return flask.Response(
        _logged(next(batches), batches, current_request_id()),
        content_type=f"{CSV}; charset=utf-8; header=present",
        headers=file_name(file.name.format_map(path)),
    )


def example(schema: ResponseSchema) -> str:
    """Return an example CSV file for the OpenAPI document."""
    row = schema.example()
    return _BYTE_ORDER_MARK + _lines([row, row.values()])


def _batches(
    engine: sa.Engine, query: sa.Select[Any], schema: ResponseSchema, key: InstrumentedAttribute[Any], separator: str
) -> Iterator[bytes]:
    """Yield the CSV lines in batches, sorted by `key`. Holds no connection or lock between batches."""
    model = query.column_descriptions[0]["entity"]
    query = query.with_only_columns(*(getattr(model, name).label(name) for name in schema.members.values()))
    header = _BYTE_ORDER_MARK + _lines([schema.members], separator)
    batch_query = query.limit(BATCH)
    while True:
        with _locked():
            with engine.connect() as connection:
                rows = connection.execute(batch_query).all()
            lines = (header + _lines((row.values() for row in schema.dump(rows, many=True)), separator)).encode()
        time.sleep(0)  # lets greenlets run that are waiting for the lock or a connection
        yield lines
        if len(rows) < BATCH:
            return
        header = ""
        batch_query = query.where(key > getattr(rows[-1], key.key)).limit(BATCH)


@contextmanager
def _locked() -> Iterator[None]:
    if not batch_lock.acquire(timeout=LOCK_TIMEOUT_SECONDS):
        raise sa.exc.TimeoutError("other CSV downloads take too long")
    try:
        yield
    finally:
        batch_lock.release()


def _logged(first: bytes, rest: Iterator[bytes], request_id: str | None) -> Iterator[bytes]:
    try:
        yield first
        yield from rest
    except SQLAlchemyError as error:
        with bound_request_id(request_id):  # the request has ended by now
            logger.error("CSV download aborted: %s", type(error).__name__)  # noqa: TRY400 - the server logs the traceback
        raise


def _lines(rows: Iterable[Iterable[Any]], separator: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows(map(_field, row) for row in rows)
    return text.getvalue()


def _field(value: Any) -> str:
    """Format a value. Times are in RFC 3339, None becomes an empty field, and formulas are escaped."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict | list):
        value = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    text = _FORMULA.sub(r"\1'", str(value))
    return f"'{text}" if isinstance(value, str) and _is_converted(text) else text


def _is_converted(text: str) -> bool:
    """Whether spreadsheets convert the text to a number, date, time, truth value or error."""
    if _DIGIT.search(text):
        return not text.startswith("'") and _IN_NUMBERS.issuperset(_WORD.findall(text.lower()))
    return text.strip().upper() in _CONSTANTS
