"""Rate limits for operations. Operations with the same setting share a limit.

A request over the limit is rejected with 429 and `Retry-After` before any slow work. Responses of operations with a
limit have the headers of draft-ietf-httpapi-ratelimit-headers-06, because few clients support later drafts.
"""

import hmac
from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from ipaddress import IPv6Address, ip_address
from typing import Any, TypeVar

import flask
from limits import parse_many
from werkzeug.exceptions import TooManyRequests
from werkzeug.local import LocalProxy

from bookings_api.email_addresses import encoded_address
from bookings_api.http.authentication import (
    current_actor_id,
    current_key_hash,
    current_user_id,
    require_actor,
    viewer,
)
from bookings_api.http.idempotency import REPLAYED_HEADER
from bookings_api.http.rate_limiting.storage import RateLimitStorage, Window
from bookings_api.models.booking import mailbox_of

_INTEGER = {"schema": {"type": "integer"}}
RATE_LIMIT = {
    "RateLimit-Limit": {"description": "The number of requests allowed per window."} | _INTEGER,
    "RateLimit-Remaining": {"description": "The number of requests left in the current window."} | _INTEGER,
    "RateLimit-Reset": {"description": "The number of seconds until the current window ends."} | _INTEGER,
}
RETRY_AFTER = {"Retry-After": {"description": "The number of seconds to wait before you retry."} | _INTEGER}

# Computes a key from the view's arguments. Requests with the same key share a limit. Requests with None are exempt.
Key = Callable[..., str | None]
# Decides from the view's exception or result whether the request counts towards the limit.
Counted = Callable[[Exception | None, Any], bool]
View = TypeVar("View", bound=Callable[..., Any])

STORAGE = "bookings_api.rate_limits"
_storage: RateLimitStorage = LocalProxy(lambda: flask.current_app.extensions[STORAGE])  # type: ignore[assignment] # a proxy for it
# The windows in which this request is counted, by setting and key.
_hits: dict[tuple[str, str], list[Window]] = LocalProxy(lambda: flask.g.setdefault("rate_limit_hits", {}))  # type: ignore[assignment] # a proxy for it
_parsed = cache(parse_many)


def init_limits(app: flask.Flask) -> None:
    """Set up counting in Redis, and add `RateLimit-*` headers to the responses of operations with a limit."""
    app.extensions[STORAGE] = RateLimitStorage(app.config["REDIS_URL"])
    app.after_request(_add_headers)


def by_account(*parameters: str) -> Key:
    """Count requests per account or API key, separately for each value of the path parameters named in `parameters`.

    Apply `limited` below `login_required`, which identifies the caller. Without `parameters`, API keys are exempt,
    because `API_KEY_LIMIT` already limits their requests.
    """

    def key(*args: Any, **kwargs: Any) -> str | None:
        if current_key_hash() is not None and not parameters:
            return None
        return "/".join([current_actor_id(), *(str(kwargs[name]) for name in parameters)])

    return key


def by_invited_mailbox(invitation: dict[str, Any], *args: Any, **kwargs: Any) -> str:
    """Count invitations per recipient mailbox, regardless of the sender.

    Apply `limited` below `arguments`, which parses the body.
    """
    return f"invitation/{of_mailbox(invitation['email'])}"


def by_inviter_and_mailbox(invitation: dict[str, Any], *args: Any, **kwargs: Any) -> str | None:
    """Count invitations per sender and recipient mailbox, separately from emails about bookings."""
    return by_mailbox(by_invited_mailbox(invitation))


def by_key(*args: Any, **kwargs: Any) -> str | None:
    """Count requests per API key secret. After a rotation, the old and the new secret are counted separately."""
    key_hash = current_key_hash()
    return None if key_hash is None else key_hash.hex()


def by_client(*args: Any, **kwargs: Any) -> str:
    """Count requests per IPv4 address or IPv6 /64 network. A client can use any address of its /64 (RFC 6177)."""
    text = flask.request.remote_addr or ""
    with suppress(ValueError):  # a Unix socket has no address
        address = ip_address(text)
        if isinstance(address, IPv6Address):
            text = str(address.ipv4_mapped or int(address) >> 64)
    return keyed_hash(text)


def by_email(field: str) -> Key:
    """Count requests per email address in the body's field `field`, even if no account has this address.

    Apply `limited` below `arguments`, which parses the body.
    """
    return lambda body, *args, **kwargs: of_email(body[field])


def of_email(address: str) -> str:
    """Return the rate-limit key of an email address. Ignores case and whether the domain is IDNA-encoded."""
    return keyed_hash(encoded_address(address).lower())


def of_mailbox(address: str) -> str:
    """Return the rate-limit key of the mailbox to which an address belongs.

    `uri@example.com` and `uri+tickets@example.com` have the same key, because they usually share a mailbox (RFC 5233).
    """
    return of_email(mailbox_of(address))


def shared_mailbox(address: str) -> str | None:
    """Return the rate-limit key of the address's mailbox if the address contains a `+`, otherwise None."""
    return of_mailbox(address) if "+" in address else None


def mailbox_to_count(address: str | None) -> str | None:
    """Return the rate-limit key for an email from the caller to `address`, or None if the email does not count.

    `address` defaults to the caller's own address. Emails to the caller's own address count only if the address
    contains a `+`, because many accounts can share a mailbox by using such addresses.
    """
    if current_key_hash() is not None:
        return of_mailbox(address) if address else None
    if address is not None and viewer() is None:  # `token_required` does not load the account
        require_actor()
    actor = viewer()
    user = actor and actor.user
    if address is None or (user and address.lower() == user.email.lower()):
        mailbox = shared_mailbox(user.email) if user else flask.g.get("shared_mailbox")
        return mailbox and f"own/{mailbox}"
    return of_mailbox(address)


def by_mailbox(mailbox: str | None) -> str | None:
    """Count emails per account and mailbox, so that accounts cannot use up each other's limit. API keys are exempt."""
    user_id = current_user_id()
    return f"{user_id}/{mailbox}" if user_id and mailbox else None


def keyed_hash(address: str) -> str:
    """Return a keyed hash of an IP or email address, so that Redis and logs never contain the address."""
    key = flask.current_app.config["SECRET_KEY"].encode()
    return hmac.digest(key, b"limit " + address.encode(), "sha256").hex()[:32]


def attempts(error: Exception | None, result: Any) -> bool:
    """Count every request."""
    return True


def successes(error: Exception | None, result: Any) -> bool:
    """Count only successful requests, except replays."""
    return error is None and REPLAYED_HEADER not in getattr(result, "headers", {})


def failures(*kinds: type[Exception]) -> Counted:
    """Count only requests that fail with one of these errors."""
    return lambda error, result: isinstance(error, kinds)


def limit(setting: str, *, by: Key, counts: Counted) -> Callable[[View], View]:
    """Limit the requests to a view. A request over the limit raises `TooManyRequests`.

    `setting` is the name of a setting with a value such as `3 per hour; 10 per day`. A request is counted before the
    view runs, so that concurrent requests cannot exceed the limit. If `counts` returns false after the view has run,
    the request is subtracted again.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def limited(*args: Any, **kwargs: Any) -> Any:
            whose = by(*args, **kwargs)
            if whose is None:
                return view(*args, **kwargs)
            windows = _hit(setting, whose)
            error, result = None, None
            try:
                result = view(*args, **kwargs)
            except Exception as raised:
                error = raised
                raise
            finally:
                if not counts(error, result):
                    _storage.give_back(windows)
            return result

        return limited  # type: ignore[return-value] # wraps() keeps the signature

    return decorate


def count_email(address: str) -> None:
    """Count an email towards the account's limits, even if a limit is exceeded.

    If `mailbox_to_count` returns a key for the address, the email counts towards `GUEST_MAIL_LIMIT`, otherwise towards
    `BOOKING_LIMIT`. API keys are exempt, because `API_KEY_LIMIT` already limits their requests.
    """
    user_id = current_user_id()
    if user_id is None:
        return
    mailbox = by_mailbox(mailbox_to_count(address))
    setting, whose = ("GUEST_MAIL_LIMIT", mailbox) if mailbox else ("BOOKING_LIMIT", user_id)
    _storage.hit(_parsed(flask.current_app.config[setting]), setting, whose)


def uncount() -> None:
    """Subtract this request from the counts of all limits, and omit the `RateLimit-*` headers."""
    for windows in _hits.values():
        _storage.give_back([window for window in windows if not window.is_given_back])
    _hits.clear()


def _hit(setting: str, whose: str) -> list[Window]:
    windows = _hits.get((setting, whose), [])
    if windows and not windows[0].is_given_back:  # a retried request is counted only once
        return windows
    windows = _hits[setting, whose] = _storage.hit(_parsed(flask.current_app.config[setting]), setting, whose)
    exceeded = [window for window in windows if window.count > window.item.amount]
    if exceeded:
        _storage.give_back(windows)
        last = max(exceeded, key=lambda window: window.ends_at)
        every = _plural(last.item.multiples, last.item.GRANULARITY.name).removeprefix("1 ")
        message = f"Limit: {last.item.amount} per {every}. Try again in {_plural(last.seconds_left, 'second')}."
        raise TooManyRequests(message, retry_after=last.seconds_left)
    return windows


def _plural(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _add_headers(response: flask.Response) -> flask.Response:
    """Report the window with the fewest remaining requests. In case of a tie, report the window that ends last."""
    windows = [window for windows in _hits.values() for window in windows]
    if windows:
        closest = min(windows, key=lambda window: (window.remaining, -window.ends_at))
        for name, value in zip(RATE_LIMIT, (closest.item.amount, closest.remaining, closest.seconds_left), strict=True):
            response.headers.add(name, str(value))
    return response
