"""`GET /health/live` and `GET /health/ready`, for process managers and load balancers.

Both endpoints respond quickly, require no login, and reveal no server names. Like `/metrics`, they are not in the
OpenAPI document.
"""

import logging
from http import HTTPStatus

import flask
import sqlalchemy as sa
from redis import RedisError
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from bookings_api.database.engine import TRANSACTION, unpooled_engine
from bookings_api.database.replica import LaggingReplica, Replica, UnusableReplica, position_of_primary, replica_of
from bookings_api.database.revisions import missing_revisions
from bookings_api.database.timeouts import RETRY_AFTER_SECONDS
from bookings_api.database.unresponsive import time_limit
from bookings_api.extensions import db
from bookings_api.redis_client import connect

logger = logging.getLogger(__name__)

DATABASE_SECONDS = 1.0
REPLICA_SECONDS = 0.5

# The number of connections for ordinary users. PostgreSQL reserves all other connections for superusers.
_CONNECTIONS = sa.text("""
    SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
""")

OK, UNAVAILABLE, LAGGING, OUTDATED = "ok", "unavailable", "lagging", "outdated"


def init_health(app: flask.Flask) -> None:
    """Add the routes `/health/live` and `/health/ready`."""

    @app.get("/health/live", endpoint="health_live")
    def live() -> flask.Response:
        """Report that the process responds. Does not check other servers, because a restart would not repair them."""
        return _response(HTTPStatus.OK, status=OK)

    @app.get("/health/ready", endpoint="health_ready")
    def ready() -> flask.Response:
        """Respond with 200 if PostgreSQL is available and no migration is missing, otherwise with 503.

        Without Redis or the read replica, the service works, but the status is `degraded`.
        """
        checks = {"database": _check_database(), "redis": _check_redis()}
        if checks["database"] != OK:
            return _response(HTTPStatus.SERVICE_UNAVAILABLE, status=UNAVAILABLE, **checks)
        if (replica := replica_of(flask.current_app)) is not None:
            checks["replica"] = _check_replica(replica)
        return _response(HTTPStatus.OK, status=OK if set(checks.values()) == {OK} else "degraded", **checks)


def warn_about_connection_limit(app: flask.Flask, *, processes: int) -> None:
    """Log a warning if the processes may need more connections than PostgreSQL allows."""
    if app.config["DATABASE_POOL_MODE"] == TRANSACTION:
        return  # PgBouncer limits the connections
    needed = processes * (app.config["DATABASE_POOL_SIZE"] + 1)
    try:
        with time_limit(DATABASE_SECONDS), unpooled_engine(app).connect() as connection:
            available = connection.scalar(_CONNECTIONS)
    except SQLAlchemyError:
        return
    if available is not None and needed > available:
        logger.warning(
            "%s processes may need %s connections, but PostgreSQL allows %s: lower DATABASE_POOL_SIZE or"
            " WEB_CONCURRENCY, or raise max_connections",
            processes, needed, available,
        )  # fmt: skip


def _response(code: HTTPStatus, **checks: str) -> flask.Response:
    headers = {"Cache-Control": "no-store"}
    if code is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return flask.make_response(checks, code, headers)


def _check_database() -> str:
    try:
        with time_limit(DATABASE_SECONDS), db.engine.connect() as connection:
            missing = missing_revisions(connection)
    except ProgrammingError:
        missing = {"all"}  # the database was never migrated
    except SQLAlchemyError as error:
        logger.warning("not ready: PostgreSQL is unavailable: %s", type(error).__name__)
        return UNAVAILABLE
    if not missing:
        return OK
    logger.warning("not ready: migrations are missing, run flask db upgrade: %s", ", ".join(missing))
    return OUTDATED


def _check_replica(replica: Replica) -> str:
    try:
        replica.run(lambda connection: None, position_of_primary(), seconds=REPLICA_SECONDS)
    except (SQLAlchemyError, UnusableReplica) as error:
        logger.warning("degraded: the read replica cannot be used: %s", type(error).__name__)
        return LAGGING if isinstance(error, LaggingReplica) else UNAVAILABLE
    return OK


def _check_redis() -> str:
    try:
        with connect(flask.current_app.config["REDIS_URL"]) as connection:
            connection.ping()
    except RedisError as error:
        logger.warning("degraded: Redis is unavailable: %s", type(error).__name__)
        return UNAVAILABLE
    return OK
