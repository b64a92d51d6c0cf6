"""The configuration is read from the environment and checked at startup."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from limits import parse_many

from config import LIMITS, Config, ConfigError

NO_ENV_FILE = Path(os.devnull)

GOOD = {
    "DATABASE_URL": "postgresql://user:p%40ss@db.example.com:5432/bookings",
    "SECRET_KEY": "x" * 32,
    "REDIS_URL": "redis://localhost:6379/0",
    "MAIL_SERVER": "smtp.example.com",
    "MAIL_FROM": "Tickets <tickets@example.com>",
    "PUBLIC_URL": "https://tickets.example.com/",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with only the required settings."""
    for name in Config.__dataclass_fields__:
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_common_database_url_schemes_are_accepted(environment: pytest.MonkeyPatch, scheme: str) -> None:
    environment.setenv("DATABASE_URL", f"{scheme}://user:p%40ss@db.example.com:5432/bookings?sslmode=require")

    config = Config.from_environment(NO_ENV_FILE)

    expected = "postgresql+psycopg2://user:p%40ss@db.example.com:5432/bookings?sslmode=require"
    assert expected == config.DATABASE_URL


def test_optional_settings_have_defaults(environment: pytest.MonkeyPatch) -> None:
    config = Config.from_environment(NO_ENV_FILE)

    assert (config.MAIL_PORT, config.MAIL_SUPPRESS_SEND, config.LOG_FORMAT) == (25, False, "json")
    assert config.INVITATION_URL == "https://tickets.example.com/docs#/auth/acceptInvitation"


def test_only_a_short_key_prevents_using_the_env_file_of_the_original_system(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in GOOD:
        environment.delenv(name)
    file = tmp_path / ".env"
    original = """
        DATABASE_URL=postgresql+asyncpg://bookings:password@db.example.com:5432/bookings?ssl=require
        REDIS_URL=redis://localhost:6379/0
        SECRET_KEY=change-me
        MAIL_SERVER=smtp.example.com
        MAIL_PORT=587
        MAIL_USERNAME=tickets
        MAIL_PASSWORD=password
        MAIL_FROM=tickets@example.com
        """
    file.write_text("\n".join(line.strip() for line in original.splitlines()))

    with pytest.raises(ConfigError) as caught:
        Config.from_environment(file)
    _, *problems = str(caught.value).splitlines()
    assert [problem.split(":")[0].strip() for problem in problems] == ["SECRET_KEY"]

    environment.setenv("SECRET_KEY", "x" * 32)
    config = Config.from_environment(file)
    expected = "postgresql+psycopg2://bookings:password@db.example.com:5432/bookings?sslmode=require"
    assert expected == config.DATABASE_URL
    assert (config.MAIL_USE_TLS, config.MAIL_USE_SSL) == (True, False)
    assert config.PUBLIC_URL == "http://localhost:8000"


@pytest.mark.parametrize(
    ("given", "encryption"),
    [
        ({}, (False, False)),
        ({"MAIL_PORT": "587"}, (True, False)),
        ({"MAIL_PORT": "465"}, (False, True)),
        ({"MAIL_PORT": "587", "MAIL_USE_TLS": "false"}, (False, False)),
        ({"MAIL_PORT": "587", "MAIL_USE_SSL": "true"}, (False, True)),
        ({"MAIL_PORT": "587", "MAIL_USE_SSL": "false"}, (True, False)),
        ({"MAIL_PORT": "465", "MAIL_USE_TLS": "true"}, (True, False)),
        ({"MAIL_PORT": "2525", "MAIL_USE_TLS": "true"}, (True, False)),
    ],
)
def test_the_mail_port_determines_the_default_encryption(
    environment: pytest.MonkeyPatch, given: dict[str, str], encryption: tuple[bool, bool]
) -> None:
    for name, value in given.items():
        environment.setenv(name, value)

    config = Config.from_environment(NO_ENV_FILE)

    assert encryption == (config.MAIL_USE_TLS, config.MAIL_USE_SSL)


@pytest.mark.parametrize(
    ("server", "given", "is_accepted"),
    [
        ("smtp.example.com", {}, False),
        ("127.0.0.1.example.com", {}, False),
        ("10.0.0.1", {"MAIL_PORT": "587", "MAIL_USE_TLS": "false"}, False),
        ("smtp.example.com", {"MAIL_PORT": "587"}, True),
        ("smtp.example.com", {"MAIL_USE_SSL": "true"}, True),
        ("smtp.example.com", {"MAIL_PASSWORD": ""}, True),
        ("localhost", {}, True),
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
    ],
)
def test_a_password_is_not_sent_unencrypted_to_another_machine(
    environment: pytest.MonkeyPatch, server: str, given: dict[str, str], *, is_accepted: bool
) -> None:
    for name, value in {"MAIL_SERVER": server, "MAIL_USERNAME": "tickets", "MAIL_PASSWORD": "secret", **given}.items():
        environment.setenv(name, value)

    if is_accepted:
        assert server == Config.from_environment(NO_ENV_FILE).MAIL_SERVER
    else:
        with pytest.raises(ConfigError, match="MAIL_PASSWORD: Would be sent unencrypted to another machine"):
            Config.from_environment(NO_ENV_FILE)


def test_all_errors_are_reported_together(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("MAIL_SERVER")
    environment.setenv("DATABASE_URL", "mysql://localhost/bookings")
    environment.setenv("REDIS_URL", "localhost:6379")
    environment.setenv("SECRET_KEY", "short")
    environment.setenv("MAIL_PORT", "smtp")
    environment.setenv("MAIL_FROM", "nobody")
    environment.setenv("MAIL_USE_TLS", "true")
    environment.setenv("MAIL_USE_SSL", "true")

    with pytest.raises(ConfigError) as caught:
        Config.from_environment(NO_ENV_FILE)

    named = [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert named == [
        "DATABASE_URL", "MAIL_FROM", "MAIL_PORT", "MAIL_SERVER", "MAIL_USE_SSL", "REDIS_URL", "SECRET_KEY",
    ]  # fmt: skip


def test_error_messages_contain_no_secrets(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SECRET_KEY", "hunter2")
    environment.setenv("DATABASE_URL", "mysql://user:hunter3@localhost/bookings")

    with pytest.raises(ConfigError) as caught:
        Config.from_environment(NO_ENV_FILE)

    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    "sender",
    [
        "Tickets, Inc <t@example.com>", "tickets", "<@example.com>", "a@", "x\r\n <a@b.c>", "", "a@b@c.de",
        "a@example.com, b@example.com", "x\u2028 <a@b.c>", "jürgen@example.com", "Tickets <t@füße.example>",
        "a b@example.com", ".a@example.com", "a@-example.com", "a@example..com", "=?utf-8?q?a?=@example.com",
        f"{'a' * 250}@example.com",
    ],
    ids=ascii,
)  # fmt: skip
def test_ambiguous_sender_is_rejected(environment: pytest.MonkeyPatch, sender: str) -> None:
    environment.setenv("MAIL_FROM", sender)

    with pytest.raises(ConfigError, match=r"MAIL_FROM: Must be a single ASCII address, "):
        Config.from_environment(NO_ENV_FILE)


@pytest.mark.parametrize(
    "sender",
    [
        "t@example.com", "Füße & Co <t@xn--fe-yja8a.example>", '"Tickets, Inc." <o\'hara+t@mail.example.com>',
        "=?utf-8?q?x?= <t@example.com>", "tickets@localhost", "Tickets <T.T@EXAMPLE.COM>",
    ],
    ids=ascii,
)  # fmt: skip
def test_sender_may_have_any_display_name(environment: pytest.MonkeyPatch, sender: str) -> None:
    environment.setenv("MAIL_FROM", sender)

    assert sender == Config.from_environment(NO_ENV_FILE).MAIL_FROM


@pytest.mark.parametrize(
    "url",
    [
        "redis://default:p%40ss@redis.example.com:6379/0",
        "rediss://default:p%40ss@redis.example.com:6380",
        "redis+sentinel://a.example.com:26379/bookings",
        "redis+sentinel://:p%40ss@a.example.com:26379,b.example.com:26379/bookings/2",
    ],
)
def test_common_redis_url_forms_are_accepted(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("REDIS_URL", url)

    assert url == Config.from_environment(NO_ENV_FILE).REDIS_URL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORS_ORIGINS", "shop.example.com"),
        ("CORS_ORIGINS", "https://shop.example.com/"),
        ("MAIL_PASSWORD", "pässword"),
        ("MAIL_USERNAME", "jürgen"),
        ("REDIS_URL", "redis://localhost:6379/bookings"),
        ("REDIS_URL", "redis+sentinel://localhost:26379,localhost/bookings/0"),
        ("REDIS_URL", "redis+sentinel://localhost:26379"),
        ("REDIS_URL", "redis+sentinel://localhost:26379/bookings/first"),
        ("DATABASE_READ_URL", "mysql://localhost/bookings"),
        ("DATABASE_POOL_MODE", "statement"),
        ("METRICS_TOKEN", "guessed"),
        ("METRICS_TOKEN", "schlüssel-für-messwerte"),
        ("METRICS_TOKEN", "read-from-a-file-with-its-line-end\n"),
    ],
)
def test_values_that_would_fail_later_are_rejected_at_startup(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)

    with pytest.raises(ConfigError, match=f"{name}: Must "):
        Config.from_environment(NO_ENV_FILE)


@pytest.mark.parametrize("limit", ["", "often", "3", "3 per fortnight", "0 per hour", "1 per 9999 year", "-1 per day"])
def test_malformed_rate_limit_is_rejected(environment: pytest.MonkeyPatch, limit: str) -> None:
    for name in LIMITS:
        environment.setenv(name, limit)

    with pytest.raises(ConfigError) as caught:
        Config.from_environment(NO_ENV_FILE)

    assert str(caught.value).count(": Must be a rate limit") == len(LIMITS) == 15


def test_default_limits_suit_a_shared_address_but_slow_password_guessing(
    environment: pytest.MonkeyPatch,
) -> None:
    config = Config.from_environment(NO_ENV_FILE)

    for name, least in {"SIGNUP_LIMIT": 30, "LOGIN_LIMIT": 60, "PASSWORD_LIMIT": 30, "BOOKING_LIMIT": 60}.items():
        limit = parse_many(getattr(config, name))[0]
        assert limit.amount >= least, name
        assert limit.get_expiry() == 60, name
    (failures,) = parse_many(config.LOGIN_FAILURE_LIMIT)
    assert (failures.amount, failures.get_expiry()) == (10, 15 * 60)
    assert config.TRUSTED_PROXIES == 0


@pytest.mark.parametrize("proxies", ["-1", "many", "11"])
def test_implausible_number_of_proxies_is_rejected(environment: pytest.MonkeyPatch, proxies: str) -> None:
    environment.setenv("TRUSTED_PROXIES", proxies)

    with pytest.raises(ConfigError, match="TRUSTED_PROXIES"):
        Config.from_environment(NO_ENV_FILE)


def test_environment_overrides_the_env_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.delenv("MAIL_SERVER")
    environment.delenv("LOG_LEVEL", raising=False)
    file = tmp_path / ".env"
    file.write_text("MAIL_SERVER=mail.example.com\nSECRET_KEY=not this one, the environment wins!\n")

    config = Config.from_environment(file)

    assert ("mail.example.com", GOOD["SECRET_KEY"]) == (config.MAIL_SERVER, config.SECRET_KEY)


def test_process_with_invalid_configuration_lists_errors_without_a_traceback(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("SECRET_KEY", "short")
    environment.setenv("MAIL_PORT", "0")

    done = subprocess.run([sys.executable, "-c", "import wsgi"], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "SECRET_KEY" in done.stderr
    assert "MAIL_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_default_concurrency_respects_cpu_affinity() -> None:
    bound = "import os, config; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(config.usable_cores())"

    done = subprocess.run([sys.executable, "-c", bound], capture_output=True, text=True, check=True)

    assert done.stdout == "1\n"
