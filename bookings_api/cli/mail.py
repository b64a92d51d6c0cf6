"""`flask mail`: shows the state of the outbox and retries emails."""

import click

from bookings_api.cli.group import Group
from bookings_api.database.transactions import transaction
from bookings_api.mail import outbox
from bookings_api.mail.status import outbox_state

mail = Group("mail", help="Manage the outbox.")


@mail.command()
def status() -> None:
    """Show the number of emails by status, the broadcasts in progress, and the longest waiting times."""
    state = outbox_state()
    for email_status, count in state.emails.items():
        click.echo(f"{email_status:<22}{count:>10}")
    click.echo(f"{'broadcasts in progress':<22}{state.unfinished_broadcasts:>10}")
    for name, age in {"oldest unsent": state.oldest_unsent, "oldest due": state.oldest_due}.items():
        click.echo(f"{name:<22}{age.total_seconds():>10.0f} s")


@mail.command()
@click.option("--deferred", is_flag=True, help="Also retry emails that wait for their next attempt.")
def retry(*, deferred: bool) -> None:
    """Retry failed emails. Each email gets the full number of attempts again."""
    with transaction():
        count = outbox.retry_failed() + (outbox.retry_deferred() if deferred else 0)
    click.echo(f"Emails due now: {count}. A worker sends them within seconds.")
