"""The Event Booking API.

    extensions       the Flask extensions, unbound
    transactions     transaction(): one use case, one commit, hooks after it
    errors           what can go wrong in the trade, free of HTTP
    observability    structured logs, request ids
    locks            row locks on accounts, in one order for everybody
    single_use       tokens that are mailed and work once
    housekeeping     removes what has outlived its use
    celery_app       Celery, bound to the application
    cli              flask commands
    demo             believable data to try the service with

    http/            what every route shares: blueprint, parser, fields, problems, lists, OpenAPI
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
from bookings_api.auth.routes import blp as auth
from bookings_api.auth.tokens import authenticate, init_tokens
from bookings_api.bookings.routes import blp as bookings
from bookings_api.celery_app import init_celery
from bookings_api.cli import register_commands
from bookings_api.events.routes import blp as events
from bookings_api.extensions import api, db, mail, migrate
from bookings_api.housekeeping import BEAT_SCHEDULE as HOUSEKEEPING_SCHEDULE
from bookings_api.http.authentication import init_authentication
from bookings_api.http.errors import register_error_handlers
from bookings_api.http.openapi import API_PREFIX, init_openapi
from bookings_api.mail.tasks import BEAT_SCHEDULE as MAIL_SCHEDULE
from bookings_api.observability import init_observability
from bookings_api.users.routes import blp as users

# The longest event there may be, with every character of its description escaped.
MAX_BODY_BYTES = 256 * 1024


def create_app(config: object) -> Flask:
    """The application; `config` is an object with the settings of `config.Config` as upper-case attributes."""
    app = Flask(__name__)
    app.config.from_object(config)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]

    init_observability(app)
    init_database(app)
    init_tokens(app)
    init_authentication(app, authenticate)
    init_mail(app)
    init_celery(app, MAIL_SCHEDULE | HOUSEKEEPING_SCHEDULE)
    init_openapi(app)
    for blueprint in (auth, users, events, bookings):
        api.register_blueprint(blueprint, url_prefix=f"{API_PREFIX}{blueprint.url_prefix}")
    register_error_handlers(app)
    register_commands(app)
    return app


def init_database(app: Flask) -> None:
    """Bind SQLAlchemy; no statement, lock or connection may wait for ever, and no parameter reaches a log."""
    app.config["SQLALCHEMY_DATABASE_URI"] = app.config["DATABASE_URL"]
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "pool_size": app.config["DATABASE_POOL_SIZE"],
        "max_overflow": 0,
        "pool_timeout": 2,
        "pool_pre_ping": True,
        "hide_parameters": True,
        "connect_args": {
            "connect_timeout": 3,
            "application_name": "event-booking-api",
            "options": "-c timezone=UTC -c lock_timeout=5s -c statement_timeout=15s"
            " -c idle_in_transaction_session_timeout=30s",
        },
    }
    db.init_app(app)
    migrate.init_app(app, db)


def init_mail(app: Flask) -> None:
    """Bind Flask-Mail, which has other names for two of our settings."""
    app.config["MAIL_DEFAULT_SENDER"] = app.config["MAIL_FROM"]
    app.config["MAIL_SUPPRESS_SEND"] = app.config["SUPPRESS_SEND"]
    mail.init_app(app)
