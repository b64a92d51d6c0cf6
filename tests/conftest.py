"""The servers of a test run and the shared fixtures.

The pytest controller starts PostgreSQL, Valkey and the SMTP sink once and migrates one database. Each xdist worker
uses a copy of that database and a separate Valkey database. With `DATABASE_POOL_MODE=transaction` in the environment,
the service reaches PostgreSQL through PgBouncer, while tests inspect it directly.
"""

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from psycopg2.sql import SQL, Composable, Identifier
from sqlalchemy.engine import make_url

from bookings_api import audit, create_app
from bookings_api.accounts.memberships import only_organization
from bookings_api.database.engine import TRANSACTION
from bookings_api.extensions import db
from bookings_api.http.rate_limiting.storage import KEY_PREFIX
from bookings_api.local_stack.servers import LocalStack
from bookings_api.models import Base, Booking, Event, EventCatalog, Organization, User
from config import Config
from tests.documented import DocumentedClient
from tests.factories import Account, make_organizer, make_user
from tests.faults import report
from tests.mailbox import Mailbox
from tests.scaling.pgbouncer import running_pgbouncer
from tests.service import Service, running_service

NO_ENV_FILE = Path(os.devnull)

# Settings besides the server addresses. Password hashes are cheap, because tests do not depend on their strength.
FIXED_SETTINGS = {
    "SECRET_KEY": "a secret of the test run, long enough for every algorithm that a forger may try",
    "ARGON2_MEMORY_KIB": "8",
    "ARGON2_TIME_COST": "1",
    "PUBLIC_URL": "https://tickets.example.com",
    "METRICS_TOKEN": "a-token-for-metrics",
    "WEB_CONCURRENCY": "2",
    "ENV_FILE": os.devnull,
    "ORGANIZER_SIGNUP": "open",
    "NOTICE_DELAY_SECONDS": "0",
    # All test accounts share one client address, so limits are off. tests/http/rate_limiting sets its own.
    **dict.fromkeys(["SIGNUP_LIMIT", "LOGIN_LIMIT", "LOGIN_ACCOUNT_LIMIT", "BOOKING_LIMIT"], "1000000 per minute"),
    **dict.fromkeys(["PASSWORD_LIMIT", "PASSWORD_RESET_LIMIT", "INVITATION_LIMIT"], "1000000 per minute"),
    **dict.fromkeys(["GUEST_MAIL_LIMIT", "MAILBOX_LIMIT", "NOTIFICATION_LIMIT", "EVENT_LIMIT"], "1000000 per minute"),
    "API_KEY_LIMIT": "1000000 per minute",
}

_servers = ExitStack()

# The service of this process, once a test has used it.
_services: list[Service] = []


def pytest_configure(config: pytest.Config) -> None:
    """Register the report of tests/faults, also in the controller, which prints it but collects no tests."""
    config.pluginmanager.register(report)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the servers in the controller."""
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    directory = Path(_servers.enter_context(tempfile.TemporaryDirectory(prefix="bookings-test-")))
    stack = _servers.enter_context(LocalStack(directory))
    stack.start_postgres()
    _disable_fsync(stack.settings["DATABASE_URL"])
    stack.start_valkey()
    stack.start_smtp_sink()
    os.environ |= stack.defaults | stack.settings | FIXED_SETTINGS | {"TEST_MAILBOX": str(stack.mailbox)}
    application = create_app(Config.from_environment(NO_ENV_FILE))
    with application.app_context():
        upgrade(str(Path(__file__).parents[1] / "migrations"))
        db.engine.dispose()
    os.environ["TEST_DATABASE_URL"] = os.environ["DATABASE_URL"]
    if os.environ.get("DATABASE_POOL_MODE") == TRANSACTION:
        os.environ["DATABASE_URL"] = _servers.enter_context(running_pgbouncer(directory, os.environ["DATABASE_URL"]))


def pytest_sessionfinish(session: pytest.Session) -> None:
    _servers.close()


def _disable_fsync(url: str) -> None:
    """Let commits not wait for the disk. Tests that kill PostgreSQL use servers of tests/faults with the default."""
    _execute(url, SQL("ALTER SYSTEM SET fsync = off"), SQL("SELECT pg_reload_conf()"))


def _execute(url: str, *statements: Composable) -> None:
    """Execute statements that cannot be part of a transaction."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


@pytest.fixture(scope="session")
def database_url(worker_id: str) -> str:
    """The URL through which the service reaches this worker's copy of the migrated database."""
    template = make_url(os.environ["TEST_DATABASE_URL"])
    assert template.database
    name = f"test_{worker_id}"
    _execute(
        template.set(drivername="postgresql", database="postgres").render_as_string(False),
        SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template.database)),
    )
    return make_url(os.environ["DATABASE_URL"]).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def settings(database_url: str, worker_id: str) -> dict[str, str]:
    """The environment variables of the service under test."""
    number = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 0
    os.environ["DATABASE_URL"] = database_url
    os.environ["REDIS_URL"] = f"{os.environ['REDIS_URL'].removesuffix('/0')}/{number + 1}"
    return dict(os.environ)


@pytest.fixture(scope="session")
def application(settings: dict[str, str]) -> Flask:
    application = create_app(Config.from_environment(NO_ENV_FILE))
    application.test_client_class = DocumentedClient
    return application


@pytest.fixture
def app(application: Flask) -> Iterator[Flask]:
    """The application on an empty database without rate limit counters."""
    # Celery runs tasks for the latest application, which another test may have created.
    application.extensions["celery"].set_current()
    application.extensions["celery"].set_default()
    yield application
    for service in _services:
        service.pause_worker()
    with application.app_context():
        # keep the version: if it restarted, the next test could get a page cached by this one
        kept = {EventCatalog.__tablename__, Organization.__tablename__}
        names = [table.name for table in reversed(Base.metadata.sorted_tables) if table.name not in kept]
        statements = [f"LOCK TABLE {', '.join(names)}", *(f"DELETE FROM {name}" for name in names)]
        if any(db.session.scalar(sa.select(model.id).offset(200).limit(1)) for model in (User, Event, Booking)):
            statements = [f"TRUNCATE {', '.join(names)}"]  # for a few rows ten times as slow as DELETE
        db.session.execute(sa.text("; ".join(statements)))
        db.session.execute(sa.delete(Organization).where(Organization.id != only_organization()))
        db.session.execute(sa.update(Organization).values(name="Default organization", version=1))
        db.session.commit()
    with redis.Redis.from_url(application.config["REDIS_URL"]) as connection:
        for key in connection.scan_iter(f"{KEY_PREFIX}:*"):
            connection.delete(key)


@pytest.fixture(scope="session")
def database(application: Flask) -> Iterator[sa.Engine]:
    """A direct connection to the database, which sees only committed data."""
    direct = make_url(os.environ["TEST_DATABASE_URL"])
    name = make_url(application.config["DATABASE_URL"]).database
    url = direct.set(drivername="postgresql+psycopg2", database=name)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    yield engine
    engine.dispose()


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    """An application context for tests that call services and queries without a request."""
    with app.app_context():
        yield


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def _own_organizations(application: Flask) -> Flask:
    """A second application on the same database, with `ORGANIZER_SIGNUP=own_organization`."""
    config = dataclasses.replace(Config.from_environment(NO_ENV_FILE), ORGANIZER_SIGNUP="own_organization")
    second = create_app(config)
    second.test_client_class = DocumentedClient
    return second


@pytest.fixture
def own_organizations(_own_organizations: Flask, app: Flask) -> FlaskClient:
    """A client of a service where everyone who signs up as an organizer owns a new organization."""
    return _own_organizations.test_client()


@pytest.fixture
def audited(app: Flask, database: sa.Engine) -> Iterator[None]:
    """Check the data with the audit after the test."""
    yield
    with database.connect() as connection:
        assert [str(violation) for violation in audit.violations(connection, emails_since=timedelta(days=1))] == []


@pytest.fixture
def organizer(client: FlaskClient) -> Account:
    return make_organizer(client)


@pytest.fixture
def user(client: FlaskClient) -> Account:
    return make_user(client)


@pytest.fixture(scope="session")
def _service(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(settings, tmp_path_factory.mktemp("service")) as service:
        _services.append(service)
        yield service


@pytest.fixture
def service(_service: Service, app: Flask) -> Service:
    """Gunicorn and a Celery worker with beat as child processes, on the same empty database as `app`."""
    _service.resume_worker()
    return _service


@pytest.fixture
def mailbox(settings: dict[str, str]) -> Mailbox:
    """The emails accepted by the SMTP sink."""
    return Mailbox(Path(settings["TEST_MAILBOX"]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest tests first, so that no worker is left with one at the end."""
    items.sort(key=lambda item: not _is_slow(item))


def _is_slow(item: Any) -> bool:
    return any(part in str(item.path) for part in ("local_stack", "faults", "deployment", "schemathesis", "scaling"))
