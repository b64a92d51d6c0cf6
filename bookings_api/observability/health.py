"""`GET /health/live` and `GET /health/ready`, for whoever restarts processes and sends them requests.

Neither asks for a login, names a server or waits for long; both stay out of the OpenAPI document, as `/metrics` does.
"""

import logging
from http import HTTPStatus

import flask
import sqlalchemy as sa
from redis import RedisError
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from bookings_api.database.engine import TRANSACTION, unpooled_engine
from bookings_api.database.replica import Behind, Replica, Unfit, position_of_primary, replica_of
from bookings_api.database.revisions import missing_revisions
from bookings_api.database.timeouts import RETRY_AFTER_SECONDS
from bookings_api.database.unresponsive import time_limit
from bookings_api.extensions import db
from bookings_api.http.rate_limiting.redis_client import connect

logger = logging.getLogger(__name__)

DATABASE_SECONDS = 1.0

REPLICA_SECONDS = 0.5

# Some are kept for whoever repairs the server.
_CONNECTIONS = sa.text("""
    SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
""")

OK, AWAY, BEHIND, PENDING = "ok", "away", "behind", "pending"


def init_health(app: flask.Flask) -> None:
    """Add the two routes."""
    app.add_url_rule("/health/live", view_func=live, endpoint="health_live")
    app.add_url_rule("/health/ready", view_func=ready, endpoint="health_ready")


def live() -> flask.Response:
    """Say that the process answers; what else may be broken a restart of it would not mend."""
    return _answer(HTTPStatus.OK, status="ok")


def ready() -> flask.Response:
    """Say whether PostgreSQL is there with our tables.

    Without Redis only mail and limits are worse; without a read replica, which is told of where there is one, lists are
    slower.
    """
    checks = {"database": _look_at_database(), "redis": _look_at_redis()}
    if checks["database"] != OK:
        return _answer(HTTPStatus.SERVICE_UNAVAILABLE, status="unavailable", **checks)
    if (replica := replica_of(flask.current_app)) is not None:
        checks["replica"] = _look_at_replica(replica)
    return _answer(HTTPStatus.OK, status=OK if set(checks.values()) == {OK} else "degraded", **checks)


def warn_of_connections(app: flask.Flask, *, processes: int) -> None:
    """Log a warning if so many processes may want more connections than PostgreSQL gives; nothing if it is away."""
    if app.config["DATABASE_POOL_MODE"] == TRANSACTION:
        return  # they are PgBouncer's
    wanted = processes * (app.config["DATABASE_POOL_SIZE"] + 1)
    try:
        with time_limit(DATABASE_SECONDS), unpooled_engine(app).connect() as connection:
            given = connection.scalar(_CONNECTIONS)
    except SQLAlchemyError:
        return
    if given is not None and wanted > given:
        logger.warning(
            "%s processes of DATABASE_POOL_SIZE may want %s connections, and PostgreSQL gives %s in all",
            processes, wanted, given,
        )  # fmt: skip


def _answer(code: HTTPStatus, **checks: str) -> flask.Response:
    response = flask.jsonify(checks)
    response.status_code = code
    response.headers["Cache-Control"] = "no-store"
    if code is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _look_at_database() -> str:
    try:
        with time_limit(DATABASE_SECONDS), db.engine.connect() as connection:
            missing = missing_revisions(connection)
    except ProgrammingError:
        missing = {"all"}  # there is no such table: an empty database
    except SQLAlchemyError as error:
        logger.warning("not ready, PostgreSQL is away: %s", type(error).__name__)
        return AWAY
    if not missing:
        return OK
    logger.warning("not ready, migrations are missing: %s", ", ".join(missing))
    return PENDING


def _look_at_replica(replica: Replica) -> str:
    try:
        replica.ask(lambda session: None, position_of_primary(), seconds=REPLICA_SECONDS)
    except (SQLAlchemyError, Unfit) as error:
        logger.warning("degraded, the replica is of no use: %s", type(error).__name__)
        return BEHIND if isinstance(error, Behind) else AWAY
    return OK


def _look_at_redis() -> str:
    try:
        with connect(flask.current_app.config["REDIS_URL"]) as connection:
            connection.ping()
    except RedisError as error:
        logger.warning("degraded, Redis is away: %s", type(error).__name__)
        return AWAY
    return OK
