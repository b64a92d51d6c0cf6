"""The base class of command groups, and one-line messages for database errors."""

from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from bookings_api.text import one_line


class Group(AppGroup):
    """A group whose commands report database errors in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SQLAlchemyError as error:
            raise click.ClickException(f"PostgreSQL: {reason(error)}") from None


def reason(error: SQLAlchemyError) -> str:
    """Return only the first line of the driver's message, because the others may quote a row."""
    return one_line(str(error.__cause__ or error).strip().partition("\n")[0])
