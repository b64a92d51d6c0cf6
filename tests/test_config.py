"""The environment, checked at start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import Config, ConfigError

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
    """Nothing but the least that is needed."""
    for name in Config.__dataclass_fields__:
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_usual_scheme_of_a_database_url_is_accepted(environment: pytest.MonkeyPatch, scheme: str) -> None:
    environment.setenv("DATABASE_URL", f"{scheme}://user:p%40ss@db.example.com:5432/bookings?sslmode=require")

    config = Config.from_environment(NO_ENV_FILE)

    expected = "postgresql+psycopg2://user:p%40ss@db.example.com:5432/bookings?sslmode=require"
    assert expected == config.DATABASE_URL


def test_the_rest_has_defaults(environment: pytest.MonkeyPatch) -> None:
    config = Config.from_environment(NO_ENV_FILE)

    assert (config.MAIL_PORT, config.SUPPRESS_SEND, config.LOG_FORMAT) == (25, False, "json")
    assert config.INVITATION_URL == "https://tickets.example.com/docs#/auth/acceptInvitation"


def test_everything_that_is_wrong_is_named_at_once(environment: pytest.MonkeyPatch) -> None:
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


def test_the_error_does_not_repeat_a_secret(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SECRET_KEY", "hunter2")
    environment.setenv("DATABASE_URL", "mysql://user:hunter3@localhost/bookings")

    with pytest.raises(ConfigError) as caught:
        Config.from_environment(NO_ENV_FILE)

    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("sender", ["Tickets, Inc <t@example.com>", "tickets", "<@example.com>", "a@", "x\r\n <a@b.c>"])
def test_a_sender_that_mail_programs_would_read_otherwise_is_wrong(
    environment: pytest.MonkeyPatch, sender: str
) -> None:
    environment.setenv("MAIL_FROM", sender)

    with pytest.raises(ConfigError, match="MAIL_FROM"):
        Config.from_environment(NO_ENV_FILE)


def test_settings_may_stand_in_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.delenv("MAIL_SERVER")
    environment.delenv("LOG_LEVEL", raising=False)
    file = tmp_path / ".env"
    file.write_text("MAIL_SERVER=mail.example.com\nSECRET_KEY=not this one, the environment wins!\n")

    config = Config.from_environment(file)

    assert ("mail.example.com", GOOD["SECRET_KEY"]) == (config.MAIL_SERVER, config.SECRET_KEY)


def test_a_process_with_a_wrong_configuration_ends_with_the_list_and_no_traceback(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("SECRET_KEY", "short")
    environment.setenv("MAIL_PORT", "0")

    done = subprocess.run([sys.executable, "-c", "import wsgi"], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "SECRET_KEY" in done.stderr
    assert "MAIL_PORT" in done.stderr
    assert "Traceback" not in done.stderr
