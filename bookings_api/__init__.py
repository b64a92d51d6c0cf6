"""The Event Booking API.

    extensions       the Flask extensions, which create_app binds
    errors           domain errors, independent of HTTP
    permissions      decides what accounts and API keys may do
    celery_app       Celery, bound to the application
    redis_client     creates Redis clients from REDIS_URL
    cleanup          every hour, deletes expired rows and the remaining data of deleted accounts
    idempotency      stores and repeats responses to requests with an Idempotency-Key
    email_addresses  validates new addresses, and lists the possible spellings of a stored address
    text             cleans text for logs, headers, emails and calendars, and detects links

    database/        engine and timeouts, transaction(), base model, read replica, prepared statements
    models/          tables and constraints
    http/            shared by all routes: blueprint, parser, fields, problems, pagination, conditional requests
      openapi/         the OpenAPI document and its examples
      rate_limiting/   limits per client, account, API key and email address, counted in Redis
      response_cache/  cached responses to anonymous reads of events
    accounts/        shared by several features: passwords, tokens, logins, actors, memberships
    auth/ users/ organizations/ api_keys/ events/ ticket_types/ teams/ bookings/ check_in/
                     one package per feature: routes, schemas, services, queries
    inventory/       takes and releases tickets, ends holds, serves the waiting list
    calendar/        events and bookings as iCalendar and iTIP
    mail/            emails: outbox, messages, Celery tasks, SMTP
    observability/   logs, metrics, traces, health checks
    audit/           checks of data invariants
    cli/             flask commands, demo data
    local_stack/     PostgreSQL, Valkey and an SMTP sink as child processes, for scripts/run and the tests

Dependencies point one way: routes -> schemas, services, queries, http; services -> models, permissions, queries,
errors, database, mail; queries and permissions -> models; models -> database. `tests/test_architecture.py` enforces
this.
"""

from flask import Flask

from bookings_api import models as models  # imported so that Flask-Migrate knows all tables
from bookings_api.accounts.passwords import init_passwords
from bookings_api.accounts.tokens import authenticate, authenticate_key, init_tokens, verify_access_token
from bookings_api.api_keys.routes import blp as api_keys
from bookings_api.auth.routes import blp as auth
from bookings_api.bookings.routes import blp as bookings
from bookings_api.celery_app import init_celery
from bookings_api.check_in.routes import blp as check_in
from bookings_api.cleanup import BEAT_SCHEDULE as CLEANUP_SCHEDULE
from bookings_api.cli import register_commands
from bookings_api.database.engine import init_database
from bookings_api.database.replica import init_replica
from bookings_api.events.routes import blp as events
from bookings_api.extensions import api, mail
from bookings_api.http.application import Application
from bookings_api.http.authentication import init_authentication
from bookings_api.http.errors import register_error_handlers
from bookings_api.http.headers import init_headers
from bookings_api.http.openapi.document import API_PREFIX, init_openapi
from bookings_api.http.proxies import init_proxies
from bookings_api.http.rate_limiting.limits import init_limits
from bookings_api.http.response_cache.cache import init_response_cache
from bookings_api.inventory.sweep import BEAT_SCHEDULE as INVENTORY_SCHEDULE
from bookings_api.mail.metrics import OutboxCollector
from bookings_api.mail.notifier import WorkerNotifier
from bookings_api.mail.tasks import BEAT_SCHEDULE as MAIL_SCHEDULE
from bookings_api.observability.health import init_health
from bookings_api.observability.logging import init_logging
from bookings_api.observability.metrics import init_metrics
from bookings_api.organizations.routes import blp as organizations
from bookings_api.teams.routes import blp as teams
from bookings_api.ticket_types.routes import blp as ticket_types
from bookings_api.users.routes import blp as users

# Large enough for the longest valid event, even if every character of its description is escaped.
MAX_BODY_BYTES = 256 * 1024


def create_app(config: object) -> Flask:
    """Create the application. `config` must have the attributes of `config.Config`."""
    app = Application(__name__)
    app.config.from_object(config)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    init_logging(app)
    init_database(app)
    init_replica(app)
    init_passwords(app)
    init_tokens(app)
    init_authentication(app, authenticate, authenticate_key, verify_access_token)
    init_response_cache(app)
    init_proxies(app)
    init_limits(app)
    init_mail(app)
    init_celery(app, MAIL_SCHEDULE | CLEANUP_SCHEDULE | INVENTORY_SCHEDULE)
    init_openapi(app)
    init_headers(app)
    for blueprint in (auth, users, organizations, api_keys, events, ticket_types, teams, bookings, check_in):
        api.register_blueprint(blueprint, url_prefix=f"{API_PREFIX}{blueprint.url_prefix}")
    init_metrics(app, collectors=[OutboxCollector()])
    init_health(app)
    register_error_handlers(app)
    register_commands(app)
    if app.config["TELEMETRY"]:
        from bookings_api.observability.tracing import init_telemetry  # noqa: PLC0415 - optional packages

        init_telemetry(app)
    return app


def init_mail(app: Flask) -> None:
    """Bind Flask-Mail and create the worker notifier."""
    mail.init_app(app)
    app.extensions["worker_notifier"] = WorkerNotifier(app)
