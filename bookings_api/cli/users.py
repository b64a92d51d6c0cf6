"""`flask users`: accounts, for who has the machine and perhaps no login."""

import click
from flask import current_app
from marshmallow import ValidationError

from bookings_api.accounts.queries import user_by_email
from bookings_api.accounts.schemas import UserSchema
from bookings_api.auth.schemas import SignupSchema
from bookings_api.auth.services import sign_up
from bookings_api.cli.group import Group
from bookings_api.errors import BookingError, EmailTaken, UserNotFound
from bookings_api.extensions import db
from bookings_api.models import Role, User
from bookings_api.text import one_line
from bookings_api.users.queries import list_users
from bookings_api.users.services import deactivate_user

users = Group("users", help="Manage accounts.")


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


@users.command("list")
@click.option("-q", help="Part of the name or of the e-mail address, in any case.")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="Those with that role.")
@click.option("--active/--inactive", "is_active", default=None, help="Those who may log in, or who may not.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as the API has it; for scripts.")
def show(*, q: str | None, role: str | None, is_active: bool | None, as_json: bool) -> None:
    """List accounts by their e-mail address; filters are combined."""
    found = db.session.scalars(list_users(q=q, role=Role(role) if role else None, is_active=is_active)).all()
    if as_json:
        schema = UserSchema()
        for user in found:
            click.echo(current_app.json.dumps(schema.dump(user)))
    else:
        _echo_table(["E-MAIL", "ROLE", "ACCESS", "SINCE", "ID", "NAME"], [_row(user) for user in found])


@users.command()
@click.argument("email")
def deactivate(email: str) -> None:
    """Take an account's access away: its logins end at once, and the person is told by mail.

    Nothing of it is lost; an organizer can give the access back with the API. The last active organizer stays.
    """
    try:
        user = user_by_email(email)
        if user is None:
            raise UserNotFound
        if not user.is_active:
            click.echo(f"{user.email} has no access already.")
            return
        deactivate_user(actor=None, user_id=user.id)
    except BookingError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{user.email} has no access any more.")


def _row(user: User) -> list[str]:
    access = "none" if not user.is_active else "invited" if user.is_invited else "active"
    # what somebody has put into the database makes no line of its own, and moves no cursor
    email, name = one_line(user.email), one_line(user.name or "")
    return [email, user.role, access, f"{user.created_at:%Y-%m-%d}", str(user.id), name]


def _echo_table(head: list[str], rows: list[list[str]]) -> None:
    """Columns as wide as what is in them."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
