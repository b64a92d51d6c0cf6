"""Password hashing with argon2id (RFC 9106). The cost parameters are configurable."""

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
# The limit per process. Further hashes wait. Each hash uses ARGON2_MEMORY_KIB of memory.
MAX_CONCURRENT_HASHES = 2

_DUMMY_HASH = "dummy_password_hash"

T = TypeVar("T")

# Excludes passwords shorter than `MIN_LENGTH`, which are rejected for their length
_COMMON = frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= MIN_LENGTH)


def init_passwords(app: Flask) -> None:
    """Precompute the dummy hash. Otherwise the first login for an unknown email would be measurably slower."""
    app.extensions[_DUMMY_HASH] = _hasher(app).hash("dummy password")


def is_common(password: str) -> bool:
    """Whether the password is in zxcvbn's list of common passwords, ignoring case."""
    return password.lower() in _COMMON


def hash_password(password: str) -> str:
    return _in_thread(_hasher(current_app).hash, password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether the password matches the hash. Always false without a hash.

    Takes the same time with or without a hash, so that timing does not reveal whether an account exists.
    """
    compared = password_hash or current_app.extensions[_DUMMY_HASH]
    return _in_thread(_matches, _hasher(current_app), compared, password) and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was created with cost parameters that differ from the configured parameters."""
    return _hasher(current_app).check_needs_rehash(password_hash)


def _in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Call `work`. Under gevent, calls `work` in a thread, so that the process can continue with other requests."""
    if not monkey.is_module_patched("threading"):
        return work(*arguments)
    result: T = _thread_pool().apply(work, arguments)
    return result


@cache
def _thread_pool() -> ThreadPool:
    return ThreadPool(MAX_CONCURRENT_HASHES)


def _matches(hasher: PasswordHasher, password_hash: str, password: str) -> bool:
    try:
        return hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _hasher(app: Flask) -> PasswordHasher:
    return PasswordHasher(app.config["ARGON2_TIME_COST"], app.config["ARGON2_MEMORY_KIB"], parallelism=1)
