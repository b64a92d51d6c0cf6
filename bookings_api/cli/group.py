"""What the groups of commands have in common."""

from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from bookings_api.text import one_line


class Group(AppGroup):
    """Commands that end with one line when PostgreSQL is away or refuses."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SQLAlchemyError as error:
            raise click.ClickException(f"PostgreSQL: {reason(error)}") from None


def reason(error: SQLAlchemyError) -> str:
    """What the driver says first; further lines may quote a row."""
    return one_line(str(error.__cause__ or error).strip().partition("\n")[0])
