"""The environment, or a `.env` file beside this module, becomes a checked `Config`.

Only the entry points (`wsgi.py`, the command line) read it; the package takes a finished `Config` and never
looks at the environment itself.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import marshmallow as ma
from environs import Env, EnvValidationError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

ENV_FILE = Path(os.environ.get("ENV_FILE") or Path(__file__).with_name(".env"))
SIGNUP_POLICIES = ("open", "invite_only")
MIN_SECRET_BYTES = 32
POSTGRES_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg2")


class ConfigError(Exception):
    """Everything that is wrong with the configuration, one line for each variable."""

    def __init__(self, problems: dict[str, list[str]]) -> None:
        lines = [f"  {name}: {' '.join(messages)}" for name, messages in sorted(problems.items())]
        super().__init__("\n".join(["The configuration is not usable:", *lines]))


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of one process; the README describes each of them."""

    DATABASE_URL: str
    REDIS_URL: str
    SECRET_KEY: str
    MAIL_SERVER: str
    MAIL_PORT: int
    MAIL_USERNAME: str | None
    MAIL_PASSWORD: str | None
    MAIL_FROM: str
    MAIL_USE_TLS: bool
    MAIL_USE_SSL: bool
    MAIL_TIMEOUT: int
    SUPPRESS_SEND: bool
    ORGANIZER_SIGNUP: str
    PUBLIC_URL: str
    INVITATION_URL: str
    PASSWORD_RESET_URL: str
    ACCESS_TOKEN_MINUTES: int
    REFRESH_TOKEN_DAYS: int
    ARGON2_MEMORY_KIB: int
    ARGON2_TIME_COST: int
    DATABASE_POOL_SIZE: int
    WEB_CONCURRENCY: int
    LOG_FORMAT: str
    LOG_LEVEL: str

    @classmethod
    def from_environment(cls, env_file: Path = ENV_FILE) -> "Config":
        """Read and check every setting; the environment wins over `env_file`.

        Raises `ConfigError`, which names everything that is missing or wrong at once.
        """
        env = Env(eager=False)
        env.read_env(str(env_file), recurse=False)
        values: dict[str, Any] = {
            "DATABASE_URL": env.str("DATABASE_URL", validate=_is_postgres_url),
            "REDIS_URL": env.str("REDIS_URL", validate=_is_redis_url),
            "SECRET_KEY": env.str("SECRET_KEY", validate=_is_long_enough),
            "MAIL_SERVER": env.str("MAIL_SERVER", validate=ma.validate.Length(min=1)),
            "MAIL_PORT": env.int("MAIL_PORT", 25, validate=ma.validate.Range(1, 65535)),
            "MAIL_USERNAME": env.str("MAIL_USERNAME", None),
            "MAIL_PASSWORD": env.str("MAIL_PASSWORD", None),
            "MAIL_FROM": env.str("MAIL_FROM", validate=_is_mailbox),
            "MAIL_USE_TLS": env.bool("MAIL_USE_TLS", False),
            "MAIL_USE_SSL": env.bool("MAIL_USE_SSL", False),
            "MAIL_TIMEOUT": env.int("MAIL_TIMEOUT", 10, validate=ma.validate.Range(1, 120)),
            "SUPPRESS_SEND": env.bool("SUPPRESS_SEND", False),
            "ORGANIZER_SIGNUP": env.str("ORGANIZER_SIGNUP", "open", validate=ma.validate.OneOf(SIGNUP_POLICIES)),
            "PUBLIC_URL": env.str("PUBLIC_URL", validate=_is_web_url),
            "INVITATION_URL": env.str("INVITATION_URL", None, validate=_is_web_url),
            "PASSWORD_RESET_URL": env.str("PASSWORD_RESET_URL", None, validate=_is_web_url),
            "REFRESH_TOKEN_DAYS": env.int("REFRESH_TOKEN_DAYS", 14, validate=ma.validate.Range(1, 365)),
            "ACCESS_TOKEN_MINUTES": env.int("ACCESS_TOKEN_MINUTES", 15, validate=ma.validate.Range(1, 1440)),
            "ARGON2_MEMORY_KIB": env.int("ARGON2_MEMORY_KIB", 19456, validate=ma.validate.Range(8, 4_194_304)),
            "ARGON2_TIME_COST": env.int("ARGON2_TIME_COST", 2, validate=ma.validate.Range(1, 100)),
            "DATABASE_POOL_SIZE": env.int("DATABASE_POOL_SIZE", 8, validate=ma.validate.Range(1, 1000)),
            "WEB_CONCURRENCY": env.int(
                "WEB_CONCURRENCY", 2 * (os.cpu_count() or 1), validate=ma.validate.Range(1, 1000)
            ),
            "LOG_FORMAT": env.str("LOG_FORMAT", "json", validate=ma.validate.OneOf(["json", "text"])),
            "LOG_LEVEL": env.str(
                "LOG_LEVEL", "INFO", validate=ma.validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])
            ),
        }
        problems = _problems(env)
        if values["MAIL_USE_TLS"] and values["MAIL_USE_SSL"]:
            problems["MAIL_USE_SSL"] = ["MAIL_USE_TLS and MAIL_USE_SSL exclude each other."]
        if problems:
            raise ConfigError(problems)
        # where those mails lead when there is no page of one's own for that: Swagger UI
        docs = f"{values['PUBLIC_URL'].rstrip('/')}/docs#/auth"
        values["INVITATION_URL"] = values["INVITATION_URL"] or f"{docs}/acceptInvitation"
        values["PASSWORD_RESET_URL"] = values["PASSWORD_RESET_URL"] or f"{docs}/confirmPasswordReset"
        values["DATABASE_URL"] = _with_psycopg2(values["DATABASE_URL"])
        return cls(**values)


def _problems(env: Env) -> dict[str, list[str]]:
    try:
        env.seal()
    except EnvValidationError as error:
        found = error.error_messages
        return dict(found) if isinstance(found, Mapping) else {"environment": found}
    return {}


def _postgres_url(value: str) -> URL:
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ma.ValidationError("Not a database URL.") from None
    if url.drivername not in POSTGRES_SCHEMES:
        raise ma.ValidationError(f"Must begin with one of {', '.join(f'{scheme}://' for scheme in POSTGRES_SCHEMES)}.")
    if not url.database:
        raise ma.ValidationError("Must name a database, as in postgresql://user:password@host:5432/bookings.")
    return url


def _is_postgres_url(value: str) -> None:
    _postgres_url(value)


def _with_psycopg2(value: str) -> str:
    """Name the driver: to SQLAlchemy 2.1 a plain `postgresql://` means psycopg 3."""
    return _postgres_url(value).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


def _is_redis_url(value: str) -> None:
    try:
        url = urlsplit(value)
        well_formed = url.scheme in {"redis", "rediss"} and bool(url.hostname) and url.port != 0
    except ValueError:
        well_formed = False
    if not well_formed:
        raise ma.ValidationError("Must look like redis://[:password@]host:6379/0 (or rediss:// for TLS).")


def _is_web_url(value: str) -> None:
    if not value.startswith(("http://", "https://")):
        raise ma.ValidationError("Must be an address, as in https://example.com/accept?token={token}.")


def _is_long_enough(value: str) -> None:
    if len(value.encode()) < MIN_SECRET_BYTES:
        raise ma.ValidationError(
            f"Must have at least {MIN_SECRET_BYTES} bytes; make one with "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'."
        )


def _is_mailbox(value: str) -> None:
    if not all(parseaddr(value)[1].partition("@")) or not value.isprintable():
        raise ma.ValidationError('Must be an address, as in "Tickets, Inc." <tickets@example.com>.')
