"""The project's own `flask` commands."""

import click
from flask import Flask
from flask.cli import AppGroup
from marshmallow import ValidationError

from bookings_api.auth.schemas import SignupSchema
from bookings_api.auth.services import sign_up
from bookings_api.demo import fill_in
from bookings_api.errors import EmailTaken
from bookings_api.mail import outbox
from bookings_api.mail.status import outbox_state
from bookings_api.models import Role
from bookings_api.transactions import transaction


def register_commands(app: Flask) -> None:
    """Add our commands to `flask`; each runs in an application context."""
    users = AppGroup("users", help="Manage accounts.")
    app.cli.add_command(users)

    @users.command()
    @click.argument("email")
    @click.option("--organizer", is_flag=True, help="As an organizer rather than a user.")
    @click.option("--name", help="The person's name.")
    @click.password_option(help="Asked for if not given, which keeps it out of the shell's history.")
    def create(email: str, *, organizer: bool, name: str | None, password: str) -> None:
        """Create an account, for example the first organizer of a service where organizers are invited."""
        account = {"email": email, "password": password, "is_organizer": organizer}
        try:
            fields = SignupSchema().load(account | ({"name": name} if name else {}))
            role = Role.ORGANIZER if fields.pop("is_organizer") else Role.USER
            user = sign_up(**fields, role=role)
        except ValidationError as error:
            raise click.ClickException(str(error.messages)) from None
        except EmailTaken as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"{user.role} {user.email} has the id {user.id}")

    mail = AppGroup("mail", help="Look after the outbox.")
    app.cli.add_command(mail)

    @mail.command()
    def status() -> None:
        """Show how many mails there are by status, and for how long the oldest ones wait."""
        state = outbox_state()
        for mail_status, count in state.mails.items():
            click.echo(f"{mail_status:<16}{count:>10}")
        click.echo(f"{'notices to write':<16}{state.unfinished_notices:>10}")
        for name, age in {"oldest unsent": state.oldest_unsent, "oldest due": state.oldest_due}.items():
            click.echo(f"{name:<16}{age.total_seconds():>10.0f} s")

    @mail.command()
    @click.option("--deferred", is_flag=True, help="Also mails that wait for their next attempt.")
    def retry(*, deferred: bool) -> None:
        """Have failed mails tried again, with all their attempts before them."""
        with transaction():
            count = outbox.retry_failed() + (outbox.retry_deferred() if deferred else 0)
        click.echo(f"{count} mails are due now; a worker takes them within seconds.")

    @app.cli.command()
    def demo() -> None:
        """Fill in accounts and events to try the service with; a second time changes nothing."""
        fill_in()
