"""Passwords: argon2id (RFC 9106) through argon2-cffi; parameters from the configuration."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Flask, current_app
from gevent import monkey
from gevent.threadpool import ThreadPool
from zxcvbn.frequency_lists import FREQUENCY_LISTS

MIN_LENGTH = 10
MAX_LENGTH = 128
# In one process; each takes ARGON2_MEMORY_KIB, and who logs in waits for who came before.
HASHES_AT_ONCE = 2

T = TypeVar("T")

# The shorter ones are refused for their length.
_COMMON = frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= MIN_LENGTH)


def init_passwords(app: Flask) -> None:
    """Make nobody's hash before the first request: one who asks for no account would wait for it, and so know."""
    _hash_of_nobody_with(app.config["ARGON2_TIME_COST"], app.config["ARGON2_MEMORY_KIB"])


def is_common(password: str) -> bool:
    """Whether a password, in any case, is one of those that guessers try first (zxcvbn's list)."""
    return password.lower() in _COMMON


def hash_password(password: str) -> str:
    """The argon2id hash in PHC string format, with a random salt."""
    return _beside(_hasher().hash, password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether the password belongs to the hash.

    Without a hash (no such account) it works as long as with one, so that the time tells nothing.
    """
    return _beside(_matches, _hasher(), password_hash or _hash_of_nobody(), password) and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether it was made at another cost than the configuration asks for now."""
    return _hasher().check_needs_rehash(password_hash)


def _beside(work: Callable[..., T], *arguments: Any) -> T:
    """What keeps a processor busy, in a thread if other requests would wait for it else (gunicorn.conf.py)."""
    if not monkey.is_module_patched("threading"):
        return work(*arguments)
    result: T = _threads().apply(work, arguments)
    return result


@cache
def _threads() -> ThreadPool:
    return ThreadPool(HASHES_AT_ONCE)


def _matches(hasher: PasswordHasher, password_hash: str, password: str) -> bool:
    try:
        return hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _hasher() -> PasswordHasher:
    return _hasher_with(current_app.config["ARGON2_TIME_COST"], current_app.config["ARGON2_MEMORY_KIB"])


@cache
def _hasher_with(time_cost: int, memory_kib: int) -> PasswordHasher:
    return PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)


def _hash_of_nobody() -> str:
    return _hash_of_nobody_with(current_app.config["ARGON2_TIME_COST"], current_app.config["ARGON2_MEMORY_KIB"])


@cache
def _hash_of_nobody_with(time_cost: int, memory_kib: int) -> str:
    return _hasher_with(time_cost, memory_kib).hash("nobody has this password")
