"""Passwords: argon2id (RFC 9106) through argon2-cffi; parameters from the configuration."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Flask, current_app
from zxcvbn.frequency_lists import FREQUENCY_LISTS

MIN_LENGTH = 10
MAX_LENGTH = 128

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
    return _hasher().hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether the password belongs to the hash.

    Without a hash (no such account) it works as long as with one, so that the time tells nothing.
    """
    try:
        matches = _hasher().verify(password_hash or _hash_of_nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return matches and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether it was made at another cost than the configuration asks for now."""
    return _hasher().check_needs_rehash(password_hash)


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
