"""`flask audit`: whether the data is what the service promises."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from functools import partial
from uuid import UUID

import click
from flask import current_app
from flask.cli import with_appcontext
from psycopg2.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bookings_api.audit import Violation, notes, violations
from bookings_api.audit.repair import MAILS, recount, write_missing_mail
from bookings_api.cli.group import reason
from bookings_api.database.engine import snapshot
from bookings_api.text import one_line

VIOLATED, NOT_DONE = 1, 2

Look = Callable[..., Iterator[Violation]]


@click.command()
@click.option("--repair", is_flag=True, help="First set wrong counters of tickets to what the bookings hold.")
@click.option("--remail", is_flag=True, help="First write the mails anew that bookings should have and have not.")
@click.option(
    "--mail-days",
    type=click.IntRange(0, 36_500),
    help="For how many days back each booking must have its mails; by default MAIL_RETENTION_DAYS. Say less after that"
    " was raised, or when older mails were deleted on purpose.",
)
@with_appcontext
@click.pass_context
def audit(context: click.Context, *, repair: bool, remail: bool, mail_days: int | None) -> None:
    """Check that the data holds what the service promises, also while it runs, and after a restore.

    Prints a line for each violation, with the ids of the rows, and reads one snapshot, which locks nothing. The exit
    status is 0 if there is no violation, 1 if there is one, 2 if the database could not be read to the end.

    --repair locks one event at a time, as a booking does, and counts anew. An event that is sold beyond its capacity
    is left as it is: who stays away is for people to say.

    --remail may tell a guest twice, if the mail had been sent before its row was lost; so it is never done unasked.
    It writes confirmations of bookings that stand and cancellations of those that do not, of events that are not over.

    What can be decided by people only is left as it is, and stays a violation.
    """
    days = current_app.config["MAIL_RETENTION_DAYS"] if mail_days is None else mail_days
    look = partial(violations, mails_since=timedelta(days=days))
    try:
        if repair:
            _mend(look, ["tickets_booked"], lambda rule, event_id: recount(event_id))
        if remail:
            _mend(look, MAILS, write_missing_mail)
        status = _report(look)
    except SQLAlchemyError as error:
        click.echo(f"Error: the database could not be read to the end: {reason(error)}", err=True)
        status = NOT_DONE
    context.exit(status)


def _mend(look: Look, rules: Collection[str], mend: Callable[[str, UUID], str | None]) -> None:
    with snapshot(current_app) as connection:
        found = [
            (violation.rule, UUID(violation.row_id)) for violation in look(connection, only=rules) if violation.row_id
        ]
    for rule, row_id in found:
        try:
            done = mend(rule, row_id)
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            done = f"{row_id} is left as it is: somebody has it locked"
        if done:
            click.echo(f"repair: {done}")


def _report(look: Look) -> int:
    counts: Counter[str] = Counter()
    with snapshot(current_app) as connection:
        for violation in look(connection):
            click.echo(one_line(str(violation)))  # it may quote what nobody has checked
            counts[violation.rule] += 1
        for note in notes(connection):
            click.echo(f"note: {note}")
    if not counts:
        click.echo("No violation.")
        return 0
    click.echo(f"{counts.total()} violations: " + ", ".join(f"{rule} {count}" for rule, count in counts.items()))
    return VIOLATED
