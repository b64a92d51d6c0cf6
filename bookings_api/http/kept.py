"""Answers that everybody gets alike, kept ready as long as nothing was committed.

PostgreSQL's snapshot says which transactions are over. While it is the same as it was before an answer was made, not
one was committed since, and the answer is what it would be now: so nobody has to remember to withdraw it, and what a
client has changed it sees at once. Time alone changes lists, too, which is why no answer is kept for long.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar

import flask
import sqlalchemy as sa

from bookings_api.prepared import Prepared

# Events that begin leave the list of upcoming ones; by so much they may be late.
SECONDS = 1
# Of each process; the oldest go first.
MAX_ANSWERS = 256
MAX_BYTES = 256 * 1024

View = TypeVar("View", bound=Callable[..., Any])

_SNAPSHOT = Prepared("snapshot", sa.select(sa.cast(sa.func.pg_current_snapshot(), sa.Text)))


@dataclass(frozen=True)
class _Answer:
    snapshot: str
    made_at: float
    body: bytes
    headers: list[tuple[str, str]]


_answers: OrderedDict[str, _Answer] = OrderedDict()


def kept(view: View) -> View:
    """Answer anonymous reads of the same address with the same bytes, as long as they are true."""

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> Any:
        request = flask.request
        if request.method != "GET" or "Authorization" in request.headers:
            return view(*args, **kwargs)
        snapshot, now, address = _SNAPSHOT().scalar_one(), time.monotonic(), request.full_path
        answer = _answers.get(address)
        if answer is None or answer.snapshot != snapshot or now - answer.made_at > SECONDS:
            response = flask.make_response(view(*args, **kwargs))
            if response.status_code == HTTPStatus.OK and (response.content_length or 0) <= MAX_BYTES:
                _keep(address, _Answer(snapshot, now, response.get_data(), list(response.headers)))
            return response
        response = flask.Response(answer.body, headers=answer.headers)
        return response.make_conditional(request) if response.get_etag()[0] else response

    return answered  # type: ignore[return-value] # wraps() keeps what it looks like


def _keep(address: str, answer: _Answer) -> None:
    _answers[address] = answer
    _answers.move_to_end(address)
    while len(_answers) > MAX_ANSWERS:
        _answers.popitem(last=False)
