"""Lists as CSV (RFC 4180), whole, for spreadsheets; programs have the JSON.

The rows are read in batches, each a query of its own that goes on behind the last row (keyset pagination), and sent
before the next one is read. So no more than a batch is in memory, and a client that reads slowly, or not at all,
holds neither a connection of the database nor a snapshot. A process makes one batch at a time, by turns for all files:
other requests wait for one of them, and not for one of each file. It follows that a row shows how things stood when
its batch was read: what was there from the beginning to the end is there exactly once, what came meanwhile may be. When
the database fails half-way, the chunked answer ends without its last chunk (RFC 9112, section 8), which the client
takes for an error; HTTP/1.0 has no such end, and is refused.

Against formula injection (OWASP, "CSV Injection") an apostrophe comes before whatever a spreadsheet would calculate:
=, +, - or @, also in their full-width and small forms (of the same NFKC), tabs and line ends, where they begin a
field, and where they would if it were split, as where Excel takes a semicolon for what separates; a quotation mark
hides none there, for the field's own and its double may be an empty text that something follows. Every field stands in
quotation marks. The file begins with a byte order mark, without which Excel reads UTF-8 as something else.
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
from typing import Any

import flask
import sqlalchemy as sa
from flask_smorest import abort
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import HTTPVersionNotSupported

from bookings_api.extensions import db
from bookings_api.http.files import FILE_NAME, file_name
from bookings_api.http.schemas import BaseSchema, PageQuerySchema
from bookings_api.observability.logging import current_request_id, working_for

logger = logging.getLogger(__name__)

CSV, JSON = "text/csv", "application/json"
BATCH = 500

CSV_FILE = {
    "content_type": CSV,
    "schema": {"type": "string"},
    "headers": FILE_NAME,
}
# What the document says of a list that there is as one, too.
EITHER = "JSON, or CSV where `Accept` prefers it"

_BYTE_ORDER_MARK = "\ufeff"
_WIDE = r"\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
_UNSEEN = r"\s\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_FORMULA = re.compile(rf"(^|[,;\t\r\n])(?=[\"{_UNSEEN}]*[=+\-@{_WIDE}]|[\t\r\n])")

# Who makes a batch; the others wait, without a connection, for so many seconds.
turn = threading.Lock()
TURN_SECONDS = 15


@dataclass(frozen=True)
class CsvFile:
    """How a list is a file: its name, with parameters of the path in braces, and the unique column that orders it."""

    name: str
    key: InstrumentedAttribute[Any]


def is_preferred() -> bool:
    """Whether the request's `Accept` prefers CSV to JSON (RFC 9110, section 12.5.1), whatever charset it adds.

    JSON is what comes without the header, of what is equally welcome, and, as everywhere in this service, where
    neither is: who asks for what there is not is not refused.
    """
    accepted = [(kind.partition(";")[0].strip(), quality) for kind, quality in flask.request.accept_mimetypes]
    return MIMEAccept(accepted).best_match([JSON, CSV]) == CSV


def csv_file(query: sa.Select[Any], schema: BaseSchema, file: CsvFile, **path: Any) -> flask.Response:
    """All rows of `query`, with the members of `schema` as columns.

    Raises what the database does with the first batch, SQLAlchemy's `TimeoutError` when that does not get its turn, and
    `HTTPException` for another page than the first one of the usual size, which Swagger UI sends unasked, and for
    HTTP/1.0.
    """
    usual = {name: str(field.load_default) for name, field in PageQuerySchema().fields.items()}
    pages = [name for name, value in usual.items() if flask.request.args.get(name, value) != value]
    if pages:
        abort(422, messages={"query": {name: ["A CSV file is the whole list."] for name in pages}})
    if flask.request.environ["SERVER_PROTOCOL"] == "HTTP/1.0":
        raise HTTPVersionNotSupported("A CSV file is sent over HTTP/1.1, where its end is told from a lost connection.")
    batches = _batches(db.engine, query, schema, file.key)
    return flask.Response(
        _written(schema, next(batches), batches, current_request_id()),
        content_type=f"{CSV}; charset=utf-8; header=present",
        headers=file_name(file.name.format_map(path)),
    )


def example(schema: BaseSchema) -> str:
    """What the OpenAPI document shows of such a file."""
    shown = schema.example()
    return _BYTE_ORDER_MARK + _lines([shown, shown.values()])


def _batches(
    engine: sa.Engine, query: sa.Select[Any], schema: BaseSchema, key: InstrumentedAttribute[Any]
) -> Iterator[bytes]:
    """The rows in the order of `key`, as lines; while they are sent, no connection is taken, and others have a turn."""
    following = query.limit(BATCH)
    while True:
        with _having_a_turn():
            with engine.connect() as connection:
                rows = connection.execute(following).all()
            lines = _lines(row.values() for row in schema.dump(rows, many=True)).encode()
        time.sleep(0)  # who waits for a turn or that connection is first: a greenlet gives way only where it says so
        yield lines
        if len(rows) < BATCH:
            return
        following = query.where(key > getattr(rows[-1], key.key)).limit(BATCH)


@contextmanager
def _having_a_turn() -> Iterator[None]:
    if not turn.acquire(timeout=TURN_SECONDS):
        raise sa.exc.TimeoutError("other files take too long")
    try:
        yield
    finally:
        turn.release()


def _written(schema: BaseSchema, first: bytes, others: Iterator[bytes], request_id: str | None) -> Iterator[bytes]:
    names = [field.data_key or name for name, field in schema.dump_fields.items()]
    try:
        yield (_BYTE_ORDER_MARK + _lines([names])).encode()
        yield first
        yield from others
    except SQLAlchemyError as error:
        with working_for(request_id):  # which is over as far as Flask is concerned
            logger.error("a file broke off: %s", type(error).__name__)  # noqa: TRY400 - the server logs the trace
        raise


def _lines(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(map(_field, row) for row in rows)
    return text.getvalue()


def _field(value: Any) -> str:
    """As JSON has it: times in RFC 3339, an empty field for null."""
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, datetime) else _FORMULA.sub(r"\1'", str(value))
