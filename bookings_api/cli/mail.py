"""`flask mail`: how the outbox stands, and another try for what is in it."""

import click

from bookings_api.cli.group import Group
from bookings_api.database.transactions import transaction
from bookings_api.mail import outbox
from bookings_api.mail.status import outbox_state

mail = Group("mail", help="Look after the outbox.")


@mail.command()
def status() -> None:
    """Show how many mails there are by status, and for how long the oldest ones wait."""
    state = outbox_state()
    for mail_status, count in state.mails.items():
        click.echo(f"{mail_status:<16}{count:>10}")
    click.echo(f"{'notices to write':<16}{state.unfinished_broadcasts:>10}")
    for name, age in {"oldest unsent": state.oldest_unsent, "oldest due": state.oldest_due}.items():
        click.echo(f"{name:<16}{age.total_seconds():>10.0f} s")


@mail.command()
@click.option("--deferred", is_flag=True, help="Also mails that wait for their next attempt.")
def retry(*, deferred: bool) -> None:
    """Have failed mails tried again, with all their attempts before them."""
    with transaction():
        count = outbox.retry_failed() + (outbox.retry_deferred() if deferred else 0)
    click.echo(f"{count} mails are due now; a worker takes them within seconds.")
