"""Reads and validates settings from the environment and a `.env` file next to this module.

The environment variable `ENV_FILE` can name a different file. `wsgi.py` passes the settings to `create_app`, so the
application does not import this module.
"""

import dataclasses
import os
import re
from collections.abc import Callable, Sequence
from email.utils import getaddresses
from functools import partial
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import limits
import marshmallow as ma
from environs import Env, EnvValidationError
from marshmallow.validate import Length, OneOf, Range, Regexp
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

ENV_FILE = Path(os.environ.get("ENV_FILE") or Path(__file__).with_name(".env"))
MIN_SECRET_BYTES = 32
MAX_LIMIT_SECONDS = 366 * 24 * 3600
SUBMISSION_PORT, SUBMISSIONS_PORT = 587, 465  # STARTTLS and implicit TLS (RFC 8314)
# with optional user and password, Sentinels, service name, and optional database number
_SENTINEL_URL = re.compile(
    r"redis\+sentinel://([^:@/]*:[^@/]*@)?[^@/,:]+:\d{1,5}(,[^@/,:]+:\d{1,5})*/[^/]+(/\d{1,5})?/?"
)
# the form in which browsers send Origin (RFC 6454, section 6.2)
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)
_WEB_URL = Regexp("https?://", error="Must be a web address, such as https://example.com/accept?token={token}.")
_ASCII = Regexp(
    r"[\x00-\x7f]*\Z", error="Must be ASCII: Python's smtplib cannot send anything else to the mail server."
)
# RFC 6750, section 2.1. At least 16 characters, because attempts are not rate limited.
_TOKEN = Regexp(
    r"([\w.~+/-]{16,}=*)?\Z", re.ASCII, error="Must have at least 16 characters, only from A-Z a-z 0-9 - . _ ~ + /."
)
# Dot-string@domain (RFC 5321, section 4.1.2) of at most 254 characters (section 4.5.3.1). Must not contain =?, which
# starts an encoded word (RFC 2047) that mail programs would decode.
_ATOM, _LABEL = r"[\w!#$%&'*+/=?^`{|}~-]+", r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?!.*=\?)(?=.{{1,254}}$){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_DOMAIN = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*", re.ASCII)

# The IDs of the API operations that accept the tokens in emailed links.
_OPERATIONS = {
    "INVITATION_URL": "acceptInvitation",
    "PASSWORD_RESET_URL": "confirmPasswordReset",
    "VERIFICATION_URL": "verifyEmail",
    "EMAIL_CHANGE_URL": "verifyEmail",
}


class ConfigError(Exception):
    """The configuration is invalid. The message has one line per variable."""

    def __init__(self, problems: dict[str, list[str]]) -> None:
        lines = [f"  {name}: {' '.join(messages)}" for name, messages in sorted(problems.items())]
        super().__init__("\n".join(["The configuration is invalid:", *lines]))


def _parse_postgres_url(value: str) -> URL:
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ma.ValidationError("Must be a URL, such as postgresql://user:password@host:5432/bookings.") from None
    if url.get_backend_name() not in {"postgres", "postgresql"}:
        raise ma.ValidationError("Must begin with postgresql:// or postgres://.")
    if not url.database:
        raise ma.ValidationError("Must name a database, as in postgresql://user:password@host:5432/bookings.")
    return url


def _validate_redis_url(value: str) -> None:
    if _SENTINEL_URL.fullmatch(value):
        return
    try:
        url = urlsplit(value)
        is_database = not url.path.strip("/") or url.path[1:].isdecimal()
        well_formed = url.scheme in {"redis", "rediss"} and bool(url.hostname) and url.port != 0 and is_database
    except ValueError:
        well_formed = False
    if not well_formed:
        raise ma.ValidationError(
            "Must look like redis://[user:password@]host:6379/0 (or rediss:// for TLS), "
            "or redis+sentinel://[user:password@]host:26379,host:26379/service/0."
        )


def _validate_rate_limit(value: str) -> None:
    try:
        usable = all(limit.amount > 0 and limit.get_expiry() <= MAX_LIMIT_SECONDS for limit in limits.parse_many(value))
    except ValueError:
        usable = False
    if not usable:
        raise ma.ValidationError('Must be a rate limit, such as "3 per hour" or "2 per 10 minutes; 5 per day".')


def _validate_origins(values: list[str]) -> None:
    for value in values:
        if value != "*" and not _ORIGIN.fullmatch(value):
            raise ma.ValidationError(
                "Must be a list of origins, such as https://shop.example.com,http://localhost:3000, or *."
            )


def _validate_domains(values: list[str]) -> None:
    if not all(_DOMAIN.fullmatch(value) and value.islower() for value in values):
        raise ma.ValidationError("Must be a list of domains in lower case, such as corp.local,localhost.")


def _require_packages(is_on: bool) -> None:  # noqa: FBT001 - environs passes it by position
    if is_on and find_spec("opentelemetry") is None:
        raise ma.ValidationError("Needs the telemetry extra: uv sync --locked --no-default-groups --extra telemetry.")


def _validate_secret(value: str) -> None:
    if len(value.encode()) < MIN_SECRET_BYTES:
        raise ma.ValidationError(
            f"Must have at least {MIN_SECRET_BYTES} bytes. Generate one with "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'."
        )


def _validate_sender(value: str) -> None:
    # getaddresses() instead of parseaddr(), because it detects text that mail programs may read as several addresses
    addresses = [address for _, address in getaddresses([value])]
    if len(addresses) != 1 or not _ADDRESS.fullmatch(addresses[0]) or not value.isprintable():
        raise ma.ValidationError(
            'Must be a single ASCII address, such as "Tickets, Inc." <tickets@example.com>; '
            "write internationalized domains in their xn-- form."
        )


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _setting(default: Any = ..., *, validate: Callable[[Any], object] | None = None) -> Any:
    """Declare a setting. A setting without a default is required. `validate` is not applied to the default."""
    return dataclasses.field(metadata={"default": default, "validate": validate})


_limit = partial(_setting, validate=_validate_rate_limit)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of one process, described in docs/configuration.md."""

    DATABASE_URL: str = _setting(validate=_parse_postgres_url)
    DATABASE_READ_URL: str | None = _setting(None, validate=_parse_postgres_url)
    DATABASE_POOL_SIZE: int = _setting(8, validate=Range(1, 1000))
    # PgBouncer's pool_mode; "session" without PgBouncer
    DATABASE_POOL_MODE: str = _setting("session", validate=OneOf(["session", "transaction"]))
    REDIS_URL: str = _setting(validate=_validate_redis_url)

    SECRET_KEY: str = _setting(validate=_validate_secret)
    ACCESS_TOKEN_MINUTES: int = _setting(15, validate=Range(1, 1440))
    REFRESH_TOKEN_DAYS: int = _setting(14, validate=Range(1, 365))
    ARGON2_MEMORY_KIB: int = _setting(19456, validate=Range(8, 4_194_304))
    ARGON2_TIME_COST: int = _setting(2, validate=Range(1, 100))
    EMAIL_INTRANET_DOMAINS: Sequence[str] = _setting((), validate=_validate_domains)
    ORGANIZER_SIGNUP: str = _setting("invite_only", validate=OneOf(["invite_only", "open", "own_organization"]))
    BOOKING_REQUIRES_VERIFIED_EMAIL: bool = _setting(False)

    MAIL_SERVER: str = _setting(validate=Length(min=1))
    MAIL_PORT: int = _setting(25, validate=Range(1, 65535))
    MAIL_USERNAME: str | None = _setting(None, validate=_ASCII)
    MAIL_PASSWORD: str | None = _setting(None, validate=_ASCII)
    MAIL_FROM: str = _setting(validate=_validate_sender)
    # The defaults depend on MAIL_PORT.
    MAIL_USE_TLS: bool = _setting(None)
    MAIL_USE_SSL: bool = _setting(None)
    MAIL_SUPPRESS_SEND: bool = _setting(False)
    MAIL_TIMEOUT: int = _setting(10, validate=Range(1, 120))
    # RFC 5321, section 4.5.4.1: give up after four to five days
    MAIL_MAX_ATTEMPTS: int = _setting(60, validate=Range(1, 10_000))
    MAIL_RETENTION_DAYS: int = _setting(90, validate=Range(1, 36_500))
    REMINDER_HOURS: int = _setting(24, validate=Range(0, 8760))
    NOTICE_DELAY_SECONDS: int = _setting(180, validate=Range(0, 3600))

    # High enough for an office behind a single IP address, and low enough to stop password guessing and email floods.
    SIGNUP_LIMIT: str = _limit("60 per minute")
    LOGIN_LIMIT: str = _limit("120 per minute")
    LOGIN_ACCOUNT_LIMIT: str = _limit("60 per minute")
    LOGIN_FAILURE_LIMIT: str = _limit("10 per 15 minutes")
    PASSWORD_LIMIT: str = _limit("60 per minute")
    PASSWORD_RESET_LIMIT: str = _limit("5 per hour")
    EVENT_LIMIT: str = _limit("1000 per hour")
    BOOKING_LIMIT: str = _limit("60 per minute; 120 per hour")
    API_KEY_LIMIT: str = _limit("600 per minute")
    GUEST_MAIL_LIMIT: str = _limit("20 per hour")
    MAILBOX_LIMIT: str = _limit("100 per hour")
    NOTIFICATION_LIMIT: str = _limit("10 per hour")
    INVITATION_LIMIT: str = _limit("100 per hour")
    MAIL_RESEND_LIMIT: str = _limit("3 per hour")
    EXPORT_LIMIT: str = _limit("10 per hour")

    PUBLIC_URL: str = _setting("http://localhost:8000", validate=_WEB_URL)
    INVITATION_URL: str = _setting(None, validate=_WEB_URL)
    PASSWORD_RESET_URL: str = _setting(None, validate=_WEB_URL)
    VERIFICATION_URL: str = _setting(None, validate=_WEB_URL)
    EMAIL_CHANGE_URL: str = _setting(None, validate=_WEB_URL)
    CORS_ORIGINS: Sequence[str] = _setting((), validate=_validate_origins)
    TRUSTED_PROXIES: int = _setting(0, validate=Range(0, 10))
    WEB_CONCURRENCY: int = _setting(usable_cores(), validate=Range(1, 1000))

    METRICS_TOKEN: str | None = _setting(None, validate=_TOKEN)
    TELEMETRY: bool = _setting(False, validate=_require_packages)
    LOG_FORMAT: str = _setting("json", validate=OneOf(["json", "text"]))
    LOG_LEVEL: str = _setting("INFO", validate=OneOf(["DEBUG", "INFO", "WARNING", "ERROR"]))

    @classmethod
    def from_environment(cls, env_file: Path = ENV_FILE) -> "Config":
        """Read and validate all settings. Environment variables take precedence over `env_file`.

        Raises `ConfigError` with a list of all missing and invalid settings.
        """
        env = Env(eager=False)
        env.read_env(str(env_file), recurse=False)
        parsers = {int: env.int, bool: env.bool, Sequence[str]: env.list}
        values: dict[str, Any] = {
            setting.name: parsers.get(setting.type, env.str)(setting.name, **setting.metadata)  # type: ignore[arg-type, operator] # chosen by type, so mypy cannot know their parameters
            for setting in dataclasses.fields(cls)
        }
        problems: dict[str, list[str]] = {}
        try:
            env.seal()
        except EnvValidationError as error:
            problems.update(error.error_messages)  # type: ignore[arg-type] # seal() passes a mapping
        starttls, tls = values["MAIL_USE_TLS"], values["MAIL_USE_SSL"]
        if starttls is None:
            starttls = values["MAIL_PORT"] == SUBMISSION_PORT and not tls
        if tls is None:
            tls = values["MAIL_PORT"] == SUBMISSIONS_PORT and not starttls
        values |= {"MAIL_USE_TLS": bool(starttls), "MAIL_USE_SSL": bool(tls)}
        if starttls and tls:
            problems["MAIL_USE_SSL"] = ["Cannot be combined with MAIL_USE_TLS. Unset one of them."]
        logs_in = values["MAIL_USERNAME"] and values["MAIL_PASSWORD"]
        if logs_in and not (starttls or tls) and not _is_this_machine(values["MAIL_SERVER"] or "localhost"):
            problems["MAIL_PASSWORD"] = [
                "Would be sent unencrypted to another machine. Set MAIL_USE_TLS=true (STARTTLS) or MAIL_USE_SSL=true."
            ]
        if problems:
            raise ConfigError(problems)
        # by default, the links in emails open Swagger UI
        docs = f"{values['PUBLIC_URL'].rstrip('/')}/docs#/auth"
        for name, operation in _OPERATIONS.items():
            values[name] = values[name] or f"{docs}/{operation}"
        for name in ("DATABASE_URL", "DATABASE_READ_URL"):
            values[name] = values[name] and _with_psycopg2(values[name])
        return cls(**values)


LIMITS = {
    setting.name: setting.metadata["default"]
    for setting in dataclasses.fields(Config)
    if setting.name.endswith("_LIMIT")
}


def _with_psycopg2(value: str) -> str:
    """Set the URL's driver to psycopg2. For `postgresql://`, SQLAlchemy 2.1 uses psycopg 3 by default."""
    url = _parse_postgres_url(value).set(drivername="postgresql+psycopg2")
    if "ssl" in url.query:  # asyncpg's name for sslmode
        url = url.difference_update_query(["ssl"]).update_query_dict({"sslmode": url.query["ssl"]})
    return url.render_as_string(hide_password=False)


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
