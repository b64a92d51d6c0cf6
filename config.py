"""The environment, or a `.env` file beside this module, becomes a checked `Config`.

Only the entry points (`wsgi.py`, the command line) read it; the package takes a finished `Config` and never
looks at the environment itself.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import getaddresses
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import limits
import marshmallow as ma
from environs import Env, EnvValidationError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

ENV_FILE = Path(os.environ.get("ENV_FILE") or Path(__file__).with_name(".env"))
SIGNUP_POLICIES = ("open", "invite_only")
# PgBouncer's names, pool_mode; without a PgBouncer it is `session`
POOL_MODES = ("session", "transaction")
MIN_SECRET_BYTES = 32
MAX_LIMIT_SECONDS = 366 * 24 * 3600
# How often something may be done. People behind one office address do not notice those that are counted for each
# client address, and nobody notices the others but who guesses passwords or floods somebody with mail.
LIMITS = {
    "SIGNUP_LIMIT": "60 per minute",
    "LOGIN_LIMIT": "120 per minute",
    "LOGIN_ACCOUNT_LIMIT": "60 per minute",
    "LOGIN_FAILURE_LIMIT": "10 per 15 minutes",
    "PASSWORD_LIMIT": "60 per minute",
    "PASSWORD_RESET_LIMIT": "5 per hour",
    "EVENT_LIMIT": "1000 per hour",
    "BOOKING_LIMIT": "60 per minute; 120 per hour",
    "GUEST_MAIL_LIMIT": "20 per hour",
    "NOTICE_LIMIT": "10 per hour",
    "INVITATION_LIMIT": "100 per hour",
    "MAIL_RESEND_LIMIT": "3 per hour",
}
POSTGRES_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg2")
# user and password, Sentinels, the name of what they watch, and the number of the database
_SENTINEL_URL = re.compile(
    r"redis\+sentinel://([^:@/]*:[^@/]*@)?[^@/,:]+:\d{1,5}(,[^@/,:]+:\d{1,5})*/[^/]+(/\d{1,5})?/?"
)
# RFC 6454, section 6.2: what a browser sends as Origin
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)
_WEB_URL = ma.validate.Regexp("https?://", error="Must be an address, as in https://example.com/accept?token={token}.")
# RFC 6750, section 2.1; none that is soon guessed, for nothing counts who tries
_TOKEN = ma.validate.Regexp(r"([\w.~+/-]{16,}=*)?\Z", re.ASCII, error="Must be 16 or more of A-Z a-z 0-9 -._~+/")
# Dot-atom @ host name (RFC 5321, section 4.1.2), of the length that section 4.5.3.1 leaves; without the beginning of
# an encoded word (RFC 2047), which mail programs would decode.
_ATOM, _LABEL = r"[\w!#$%&'*+/=?^`{|}~-]+", r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?!.*=\?)(?=.{{1,254}}$){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*", re.ASCII)


class ConfigError(Exception):
    """Everything that is wrong with the configuration, one line for each variable."""

    def __init__(self, problems: dict[str, list[str]]) -> None:
        lines = [f"  {name}: {' '.join(messages)}" for name, messages in sorted(problems.items())]
        super().__init__("\n".join(["The configuration is not usable:", *lines]))


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of one process; docs/configuration.md describes each of them."""

    DATABASE_URL: str
    DATABASE_READ_URL: str | None
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
    MAIL_MAX_ATTEMPTS: int
    MAIL_RETENTION_DAYS: int
    MAIL_RESEND_LIMIT: str
    SIGNUP_LIMIT: str
    LOGIN_LIMIT: str
    LOGIN_ACCOUNT_LIMIT: str
    LOGIN_FAILURE_LIMIT: str
    PASSWORD_LIMIT: str
    PASSWORD_RESET_LIMIT: str
    EVENT_LIMIT: str
    BOOKING_LIMIT: str
    GUEST_MAIL_LIMIT: str
    NOTICE_LIMIT: str
    INVITATION_LIMIT: str
    TRUSTED_PROXIES: int
    SUPPRESS_SEND: bool
    REMINDER_HOURS: int
    ORGANIZER_SIGNUP: str
    CORS_ORIGINS: list[str]
    PUBLIC_URL: str
    INVITATION_URL: str
    PASSWORD_RESET_URL: str
    ACCESS_TOKEN_MINUTES: int
    REFRESH_TOKEN_DAYS: int
    ARGON2_MEMORY_KIB: int
    ARGON2_TIME_COST: int
    DATABASE_POOL_SIZE: int
    DATABASE_POOL_MODE: str
    WEB_CONCURRENCY: int
    METRICS_TOKEN: str | None
    TELEMETRY: bool
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
            "DATABASE_READ_URL": env.str("DATABASE_READ_URL", None, validate=_is_postgres_url),
            "REDIS_URL": env.str("REDIS_URL", validate=_is_redis_url),
            "SECRET_KEY": env.str("SECRET_KEY", validate=_is_long_enough),
            "MAIL_SERVER": env.str("MAIL_SERVER", validate=ma.validate.Length(min=1)),
            "MAIL_PORT": env.int("MAIL_PORT", 25, validate=ma.validate.Range(1, 65535)),
            "MAIL_USERNAME": env.str("MAIL_USERNAME", None, validate=_is_ascii),
            "MAIL_PASSWORD": env.str("MAIL_PASSWORD", None, validate=_is_ascii),
            "MAIL_FROM": env.str("MAIL_FROM", validate=_is_mailbox),
            "MAIL_USE_TLS": env.bool("MAIL_USE_TLS", False),
            "MAIL_USE_SSL": env.bool("MAIL_USE_SSL", False),
            "MAIL_TIMEOUT": env.int("MAIL_TIMEOUT", 10, validate=ma.validate.Range(1, 120)),
            # RFC 5321, section 4.5.4.1: give up after four to five days
            "MAIL_MAX_ATTEMPTS": env.int("MAIL_MAX_ATTEMPTS", 60, validate=ma.validate.Range(1, 10_000)),
            "MAIL_RETENTION_DAYS": env.int("MAIL_RETENTION_DAYS", 90, validate=ma.validate.Range(1, 36_500)),
            **{name: env.str(name, limit, validate=_is_rate_limit) for name, limit in LIMITS.items()},
            "TRUSTED_PROXIES": env.int("TRUSTED_PROXIES", 0, validate=ma.validate.Range(0, 10)),
            "REMINDER_HOURS": env.int("REMINDER_HOURS", 24, validate=ma.validate.Range(0, 8760)),
            "SUPPRESS_SEND": env.bool("SUPPRESS_SEND", False),
            "ORGANIZER_SIGNUP": env.str("ORGANIZER_SIGNUP", "open", validate=ma.validate.OneOf(SIGNUP_POLICIES)),
            "CORS_ORIGINS": env.list("CORS_ORIGINS", [], validate=_are_origins),
            "PUBLIC_URL": env.str("PUBLIC_URL", validate=_WEB_URL),
            "INVITATION_URL": env.str("INVITATION_URL", None, validate=_WEB_URL),
            "PASSWORD_RESET_URL": env.str("PASSWORD_RESET_URL", None, validate=_WEB_URL),
            "REFRESH_TOKEN_DAYS": env.int("REFRESH_TOKEN_DAYS", 14, validate=ma.validate.Range(1, 365)),
            "ACCESS_TOKEN_MINUTES": env.int("ACCESS_TOKEN_MINUTES", 15, validate=ma.validate.Range(1, 1440)),
            "ARGON2_MEMORY_KIB": env.int("ARGON2_MEMORY_KIB", 19456, validate=ma.validate.Range(8, 4_194_304)),
            "ARGON2_TIME_COST": env.int("ARGON2_TIME_COST", 2, validate=ma.validate.Range(1, 100)),
            "DATABASE_POOL_SIZE": env.int("DATABASE_POOL_SIZE", 8, validate=ma.validate.Range(1, 1000)),
            "DATABASE_POOL_MODE": env.str("DATABASE_POOL_MODE", "session", validate=ma.validate.OneOf(POOL_MODES)),
            "WEB_CONCURRENCY": env.int("WEB_CONCURRENCY", usable_cores(), validate=ma.validate.Range(1, 1000)),
            "METRICS_TOKEN": env.str("METRICS_TOKEN", None, validate=_TOKEN),
            "TELEMETRY": env.bool("TELEMETRY", False, validate=_has_its_packages),
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
        for name in ("DATABASE_URL", "DATABASE_READ_URL"):
            values[name] = values[name] and _with_psycopg2(values[name])
        return cls(**values)


def usable_cores(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """How many cores this process may keep busy: those it may run on, or fewer by the CPU quota of its container.

    A quota stands in the process's control group or in one above it, https://docs.kernel.org/admin-guide/cgroup-v2.html;
    a part of a core counts as one. `os.cpu_count()` tells those of the machine.
    """
    cores = len(os.sched_getaffinity(0))
    for line in proc.read_text().splitlines() if proc.exists() else ():
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            mounted = root / "cpu" if controllers else root
            group = mounted / path.lstrip("/")
            for directory in (group, *group.parents):
                if directory.is_relative_to(mounted):
                    cores = min(cores, _quota(directory) or cores)
    return cores


def _quota(group: Path) -> int | None:
    """The cores of a control group's quota, of version 2 or 1; None without one."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        cores = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return cores if cores > 0 else None  # version 1 says -1 without one


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


def _is_rate_limit(value: str) -> None:
    try:
        usable = all(limit.amount > 0 and limit.get_expiry() <= MAX_LIMIT_SECONDS for limit in limits.parse_many(value))
    except ValueError:
        usable = False
    if not usable:
        raise ma.ValidationError('Must be a limit, as in "3 per hour" or "2 per 10 minutes; 5 per day".')


def _is_ascii(value: str) -> None:
    if not value.isascii():
        raise ma.ValidationError("Must be ASCII: Python's smtplib can send no other to the mail server.")


def _are_origins(values: list[str]) -> None:
    for value in values:
        if value != "*" and not _ORIGIN.fullmatch(value):
            raise ma.ValidationError("Must be origins, as in https://shop.example.com,http://localhost:3000, or *.")


def _has_its_packages(is_on: bool) -> None:  # noqa: FBT001 - as environs calls it
    if is_on and find_spec("opentelemetry") is None:
        raise ma.ValidationError("Needs the extra: uv sync --locked --no-default-groups --extra telemetry.")


def _is_long_enough(value: str) -> None:
    if len(value.encode()) < MIN_SECRET_BYTES:
        raise ma.ValidationError(
            f"Must have at least {MIN_SECRET_BYTES} bytes; make one with "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'."
        )


def _is_mailbox(value: str) -> None:
    # one that a mail program would read as several is none
    addresses = [address for _, address in getaddresses([value])]
    if len(addresses) != 1 or not _ADDRESS.fullmatch(addresses[0]) or not value.isprintable():
        raise ma.ValidationError(
            'Must be one address, as in "Tickets, Inc." <tickets@example.com>; '
            "it is ASCII, a domain in another script stands in its xn-- form."
        )
