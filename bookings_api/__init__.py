"""The Event Booking API.

    extensions       the Flask extensions, unbound
    database         the way to PostgreSQL, on which nothing waits for ever
    replica          listings on a read replica, as fresh as the primary
    redis_client     the way to Redis, on which nothing waits for long
    prepared         statements that each connection plans once
    transactions     transaction(): one use case, one commit, hooks after it
    errors           what can go wrong in the trade, free of HTTP
    facts            what is told of events and bookings, in mails and calendars
    calendar         events and bookings as iCalendar
    observability    structured logs, request ids
    meters           what each process counts for Prometheus
    metrics          /metrics, which shows it
    telemetry        traces for OpenTelemetry
    health           /health/live and /health/ready for who runs the processes
    locks            row locks on accounts, in one order for everybody
    single_use       tokens that are mailed and work once
    housekeeping     removes what has outlived its use
    celery_app       Celery, bound to the application
    revisions        which migrations the database lacks
    cli/             flask commands
    audit/           what must hold of the data, asked of the database
    demo             believable data to try the service with

    http/            what every route shares: blueprint, parser, fields, problems, lists, limits, OpenAPI
    models/          tables and constraints
    auth/ users/ events/ bookings/
                     one room per feature: routes, schemas, services, queries, permissions
    mail/            wording, outbox, Celery tasks, SMTP
    local_stack/     PostgreSQL, Valkey and an SMTP sink as child processes: for scripts/run and the tests

Arrows point down only: routes -> schemas, services, queries, http; services -> models, permissions, queries,
errors, transactions, mail; queries and permissions -> models; models -> extensions.
"""

from flask import Flask

from bookings_api import models as models  # Flask-Migrate compares the database with them
from bookings_api.auth.passwords import init_passwords
from bookings_api.auth.routes import blp as auth
from bookings_api.auth.tokens import authenticate, init_tokens, recall
from bookings_api.bookings.routes import blp as bookings
from bookings_api.celery_app import init_celery
from bookings_api.cli import register_commands
from bookings_api.database import init_database
from bookings_api.events.routes import blp as events
from bookings_api.extensions import api, mail
from bookings_api.health import init_health
from bookings_api.housekeeping import BEAT_SCHEDULE as HOUSEKEEPING_SCHEDULE
from bookings_api.http.application import Application
from bookings_api.http.authentication import init_authentication
from bookings_api.http.errors import register_error_handlers
from bookings_api.http.headers import init_headers
from bookings_api.http.json import OrjsonProvider
from bookings_api.http.kept import init_kept
from bookings_api.http.limits import init_limits
from bookings_api.http.openapi import API_PREFIX, init_openapi
from bookings_api.http.proxies import init_proxies
from bookings_api.http.redirects import init_redirects
from bookings_api.mail.relay import Relay
from bookings_api.mail.tasks import BEAT_SCHEDULE as MAIL_SCHEDULE
from bookings_api.metrics import init_metrics
from bookings_api.observability import init_observability
from bookings_api.replica import init_replica
from bookings_api.users.routes import blp as users

# The longest event there may be, with every character of its description escaped.
MAX_BODY_BYTES = 256 * 1024


def create_app(config: object) -> Flask:
    """The application; `config` is an object with the settings of `config.Config` as upper-case attributes."""
    app = Application(__name__)
    app.config.from_object(config)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.json = OrjsonProvider(app)

    init_observability(app)
    init_database(app)
    init_replica(app)
    init_passwords(app)
    init_tokens(app)
    init_authentication(app, authenticate, recall)
    init_kept(app)
    init_proxies(app)
    init_limits(app)
    init_mail(app)
    init_celery(app, MAIL_SCHEDULE | HOUSEKEEPING_SCHEDULE)
    init_openapi(app)
    init_redirects(app)
    init_headers(app)
    for blueprint in (auth, users, events, bookings):
        api.register_blueprint(blueprint, url_prefix=f"{API_PREFIX}{blueprint.url_prefix}")
    init_metrics(app)
    init_health(app)
    register_error_handlers(app)
    register_commands(app)
    if app.config["TELEMETRY"]:
        # whoever has it off need not have its packages
        from bookings_api.telemetry import init_telemetry  # noqa: PLC0415

        init_telemetry(app)
    return app


def init_mail(app: Flask) -> None:
    """Bind Flask-Mail, which has another name for one of our settings, and the thread that tells Celery of mail."""
    app.config["MAIL_SUPPRESS_SEND"] = app.config["SUPPRESS_SEND"]
    mail.init_app(app)
    app.extensions["mail_relay"] = Relay(app)
