"""`flask audit`: checks that the data is consistent."""

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
from bookings_api.audit.repair import REPAIR_EMAILS, recount_tickets, write_missing_email
from bookings_api.cli.group import reason
from bookings_api.database.engine import snapshot
from bookings_api.text import one_line

VIOLATIONS_FOUND, UNREADABLE = 1, 2  # exit statuses

Check = Callable[..., Iterator[Violation]]


@click.command()
@click.option("--repair", is_flag=True, help="First recalculate wrong ticket counters from the bookings.")
@click.option("--repair-emails", is_flag=True, help="First write missing confirmations and cancellations.")
@click.option(
    "--email-days",
    type=click.IntRange(0, 36_500),
    help="Require emails only for changes within this many days (default: MAIL_RETENTION_DAYS). Use this option after"
    " you raise that setting, or if you deleted older emails on purpose.",
)
@with_appcontext
@click.pass_context
def audit(context: click.Context, *, repair: bool, repair_emails: bool, email_days: int | None) -> None:
    """Check that the data is consistent, for example after a restore. The service can keep running.

    Prints one line per violation with the IDs of the rows. Reads a single snapshot without locks. The exit status is 0
    without violations, 1 with violations, and 2 if the database could not be read completely.

    --repair corrects ticket counters. It locks one event at a time, as a booking does. Oversold events are not
    repaired, because a person must decide which bookings to cancel.

    --repair-emails writes missing confirmations and cancellations, except for past events. If a missing email was sent
    before its row was lost, the guest gets it twice.

    All other violations are only reported.
    """
    days = current_app.config["MAIL_RETENTION_DAYS"] if email_days is None else email_days
    check = partial(violations, emails_since=timedelta(days=days))
    try:
        if repair:
            _repair(check, ["tickets_booked", "tickets_held"], lambda rule, event_id: recount_tickets(event_id))
        if repair_emails:
            _repair(check, REPAIR_EMAILS, write_missing_email)
        status = _report(check)
    except SQLAlchemyError as error:
        click.echo(f"Error: the database could not be read completely: {reason(error)}", err=True)
        status = UNREADABLE
    context.exit(status)


def _repair(check: Check, rules: Collection[str], repair: Callable[[str, UUID], str | None]) -> None:
    with snapshot(current_app) as connection:
        violations = [violation for violation in check(connection, only=rules) if violation.row_id]
    # an event can violate a rule several times
    found = dict.fromkeys((violation.rule, UUID(violation.row_id)) for violation in violations)
    for rule, row_id in found:
        try:
            done = repair(rule, row_id)
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            done = f"{row_id} was skipped because it is locked"
        if done:
            click.echo(f"repair: {done}")


def _report(check: Check) -> int:
    counts: Counter[str] = Counter()
    with snapshot(current_app) as connection:
        for violation in check(connection):
            click.echo(one_line(str(violation)))  # the message may quote unvalidated data
            counts[violation.rule] += 1
        for note in notes(connection, intranet_domains=current_app.config["EMAIL_INTRANET_DOMAINS"]):
            click.echo(f"note: {note}")
    if not counts:
        click.echo("No violations.")
        return 0
    click.echo(f"Violations: {counts.total()} ({', '.join(f'{rule} {count}' for rule, count in counts.items())})")
    return VIOLATIONS_FOUND
