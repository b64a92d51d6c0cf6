"""The base class of command groups, and one-line messages for database errors."""

from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from bookings_api.text import one_line


class Group(AppGroup):
    """A command group that reports database errors in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SQLAlchemyError as error:
            raise click.ClickException(f"PostgreSQL: {reason(error)}") from None


def reason(error: SQLAlchemyError) -> str:
    """Return the first line of the driver's message. Further lines may quote personal data from a row."""
    return one_line(str(error.__cause__ or error).strip().partition("\n")[0])
