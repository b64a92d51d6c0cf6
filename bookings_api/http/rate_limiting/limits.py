"""How often something may be done; the setting that says so names the limit, and all operations with it share it.

What is too much is a 429 with `Retry-After` (RFC 6585, section 4; RFC 9110, section 10.2.3), before any slow work.

Every answer of a limited operation says where the client stands, in `RateLimit-Limit`, `-Remaining` and `-Reset`
(draft-ietf-httpapi-ratelimit-headers-06). Later drafts put all of it into two structured fields; the three are what
clients of today read, and each is one number.
"""

import hmac
from collections.abc import Callable
from functools import cache, wraps
from ipaddress import IPv6Address, ip_address
from typing import Any, TypeVar

import flask
from limits import RateLimitItem, parse_many
from werkzeug.exceptions import TooManyRequests

from bookings_api.http.authentication import current_user
from bookings_api.http.idempotency import REPLAYED_HEADER
from bookings_api.http.rate_limiting.counters import KEY_PREFIX, Counters, WindowStats

RATE_LIMIT = {
    f"RateLimit-{name}": {"description": description, "schema": {"type": "integer"}}
    for name, description in {
        "Limit": "How often this may be done in a period.",
        "Remaining": "How often it may be done in the rest of it.",
        "Reset": "Seconds until a new period begins.",
    }.items()
}
RETRY_AFTER = {"Retry-After": {"description": "Seconds until it may be tried again.", "schema": {"type": "integer"}}}

# What is counted together, such as one account's, from what the view gets; None: this request is not limited. It
# stands in Redis and may stand in a log: so ids, and no address that is not hidden.
Key = Callable[..., str | None]

# Whether a request stays counted, from what the view raised or returned.
Counted = Callable[[Exception | None, Any], bool]

View = TypeVar("View", bound=Callable[..., Any])

# Where the application keeps them.
COUNTERS = "bookings_api.counters"


def init_limits(app: flask.Flask) -> None:
    """Count in the Redis of the configuration."""
    app.extensions[COUNTERS] = Counters(app.config["REDIS_URL"])
    app.after_request(_say_where_it_stands)


def by_account(*parameters: str) -> Key:
    """Count for each account, and for each value of these parameters of the path; behind `login_required`."""

    def key(*args: Any, **kwargs: Any) -> str:
        return "/".join([str(current_user.id), *(str(kwargs[name]) for name in parameters)])

    return key


def by_client(*args: Any, **kwargs: Any) -> str:
    """Count for each client address, of IPv6 for each network: a client has 2**64 of those (RFC 6177, section 2)."""
    text = flask.request.remote_addr or ""
    try:
        address = ip_address(text)
    except ValueError:  # of a Unix socket, for example
        return hidden(text)
    if isinstance(address, IPv6Address):
        return hidden(str(address.ipv4_mapped or int(address) >> 64))
    return hidden(text)


def by_email(field: str) -> Key:
    """Count for each e-mail address in `field` of the body, whether it has an account or not; below `arguments`."""

    def key(body: dict[str, Any], *args: Any, **kwargs: Any) -> str:
        return of_email(body[field])

    return key


def of_email(address: str) -> str:
    """What stands for an e-mail address in whatever case."""
    return hidden(address.lower())


def of_mailbox(address: str) -> str:
    """What stands for a mailbox: addresses that differ after a `+` of the local part are commonly one (RFC 5233)."""
    local, _, domain = address.rpartition("@")
    return of_email(f"{local.partition('+')[0]}@{domain}")


def hidden(personal: str) -> str:
    """What stands for an address, and does not tell it to who has no key of ours."""
    key = flask.current_app.config["SECRET_KEY"].encode()
    return hmac.digest(key, b"limit " + personal.encode(), "sha256").hex()[:32]


def attempts(error: Exception | None, result: Any) -> bool:
    """Count whatever comes of it."""
    return True


def successes(error: Exception | None, result: Any) -> bool:
    """Count what was done; an answer that is replayed was done before."""
    return error is None and REPLAYED_HEADER not in getattr(result, "headers", {})


def failures(*kinds: type[Exception]) -> Counted:
    """Count errors of these kinds only: that a server behind us is away is nobody's failed attempt."""
    return lambda error, result: isinstance(error, kinds)


def limit(setting: str, *, by: Key, counts: Counted) -> Callable[[View], View]:
    """Let a view be called as often as `setting` says, for example `3 per hour`; raises `TooManyRequests`."""

    def decorate(view: View) -> View:
        @wraps(view)
        def limited(*args: Any, **kwargs: Any) -> Any:
            whose = by(*args, **kwargs)
            if whose is None:
                return view(*args, **kwargs)
            keys = {
                f"{KEY_PREFIX}:{setting}:{item.amount}/{item.get_expiry()}:{whose}": item
                for item in _parsed(flask.current_app.config[setting])
            }
            # Counted before the work, and given back if it does not count: so any number of requests at the same
            # moment get no further than one after the other.
            standings = _count_once(keys)
            error, result = None, None
            try:
                result = view(*args, **kwargs)
            except Exception as raised:
                error = raised
                raise
            finally:
                gives_back = not counts(error, result)
                if gives_back:
                    _give_back(keys)
                _remember(standings, given_back=int(gives_back))
            return result

        return limited  # type: ignore[return-value] # wraps() keeps what it looks like

    return decorate


def _count_once(keys: dict[str, RateLimitItem]) -> list[WindowStats]:
    """Count the request, unless it is counted already: a view that lost a collision is run again from the top.

    Raises `TooManyRequests`.
    """
    held, names = _held(), tuple(keys)
    if names not in held:
        is_counted, standings = _counters().count(keys)
        if not is_counted:
            _remember([standing for standing in standings if not standing.remaining], given_back=0)
            raise _too_many(standings)
        held[names] = standings
    return held[names]


def uncount() -> None:
    """Give back all that this request was counted under, and tell it nothing of where anybody stands."""
    for names in list(_held()):
        _counters().give_back(list(names))
        _held().pop(names)
    flask.g.pop("rate_limit", None)


def _give_back(keys: dict[str, RateLimitItem]) -> None:
    _counters().give_back(list(keys))
    _held().pop(tuple(keys))


def _counters() -> Counters:
    counters: Counters = flask.current_app.extensions[COUNTERS]
    return counters


def _held() -> dict[tuple[str, ...], list[WindowStats]]:
    """The keys under which this request is counted, and how they stood then."""
    held: dict[tuple[str, ...], list[WindowStats]] = flask.g.setdefault("counted_under", {})
    return held


@cache
def _parsed(text: str) -> list[RateLimitItem]:
    return parse_many(text)


def _too_many(standings: list[WindowStats]) -> TooManyRequests:
    last = max((standing for standing in standings if not standing.remaining), key=lambda standing: standing.seconds)
    return TooManyRequests(f"At most {last.limit}. Please try again in {last.seconds} s.", retry_after=last.seconds)


def _remember(standings: list[WindowStats], *, given_back: int) -> None:
    """Keep what is nearest to its end, of those that end together what lasts longest."""
    for standing in standings:
        told = (standing.remaining + given_back, -standing.seconds, standing.limit.amount)
        flask.g.rate_limit = min(flask.g.get("rate_limit", told), told)


def _say_where_it_stands(response: flask.Response) -> flask.Response:
    if "rate_limit" in flask.g:
        remaining, seconds, amount = flask.g.rate_limit
        for name, value in zip(RATE_LIMIT, (amount, remaining, -seconds), strict=True):
            response.headers.add(name, str(value))
    return response
