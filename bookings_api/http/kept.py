"""Answers that everybody gets alike, kept ready as long as nothing was committed.

PostgreSQL's snapshot says which transactions are over. While it is the same as it was before an answer was made, not
one was committed since, and the answer is what it would be now: so nobody has to remember to withdraw it, and what a
client has changed it sees at once. Time alone changes lists, too, and a replica's snapshot says less, which is why no
answer is kept for long.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeVar

import flask
import sqlalchemy as sa
from werkzeug.http import quote_etag

from bookings_api.http.conditional import is_known_to_client
from bookings_api.prepared import Prepared

# Events that begin leave the list of upcoming ones; by so much they may be late.
SECONDS = 1
# Of each process; the oldest go first.
MAX_ANSWERS = 256
MAX_BYTES = 64 * 1024

View = TypeVar("View", bound=Callable[..., Any])

_SNAPSHOT = Prepared("snapshot", sa.select(sa.cast(sa.func.pg_current_snapshot(), sa.Text)))


@dataclass(frozen=True)
class _Answer:
    snapshot: str
    made_at: float
    body: bytes
    headers: list[tuple[str, str]]


_answers: dict[tuple[str, bytes], _Answer] = {}
_lock = threading.Lock()


def kept(view: View) -> View:
    """Answer anonymous reads of the same address with the same bytes, as long as they are true."""

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> Any:
        request = flask.request
        if request.method != "GET" or "Authorization" in request.headers:
            return view(*args, **kwargs)
        snapshot, now, address = _SNAPSHOT().scalar_one(), time.monotonic(), (request.path, request.query_string)
        answer = _answers.get(address)
        if answer is None or answer.snapshot != snapshot or now - answer.made_at > SECONDS:
            response = flask.make_response(view(*args, **kwargs))
            if response.status_code == HTTPStatus.OK and len(response.get_data()) <= MAX_BYTES:
                _keep(address, _Answer(snapshot, now, response.get_data(), list(response.headers)))
            return response
        response = flask.Response(answer.body, headers=answer.headers)
        tag, _ = response.get_etag()
        if tag is not None and is_known_to_client(tag):
            return flask.Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": quote_etag(tag)})
        return response

    return answered  # type: ignore[return-value] # wraps() keeps what it looks like


def _keep(address: tuple[str, bytes], answer: _Answer) -> None:
    with _lock:
        if any(other.snapshot != answer.snapshot for other in islice(_answers.values(), 1)):
            _answers.clear()  # they will never be true again
        _answers[address] = answer
        if len(_answers) > MAX_ANSWERS:
            del _answers[next(iter(_answers))]
