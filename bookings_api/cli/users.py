"""`flask users`: manages accounts from the command line."""

import click
from flask import current_app
from marshmallow import ValidationError

from bookings_api.accounts.memberships import has_leaders, only_organization
from bookings_api.accounts.queries import user_by_email
from bookings_api.accounts.schemas import UserSchema
from bookings_api.auth.schemas import SignupSchema
from bookings_api.auth.services import sign_up
from bookings_api.cli.group import Group
from bookings_api.errors import DomainError, EmailTaken, UserNotFound
from bookings_api.mail.erasure import ERASED_DOMAIN
from bookings_api.models import MemberRole, Person, Role
from bookings_api.permissions import Tenancy
from bookings_api.text import one_line
from bookings_api.users.operators import activate_account, deactivate_account
from bookings_api.users.queries import all_people

users = Group("users", help="Manage accounts.")


@users.command()
@click.argument("email")
@click.option("--organizer", is_flag=True, help="Create an organizer instead of a user.")
@click.option("--name", help="The person's name.")
@click.password_option(help="If omitted, the command asks for it, which keeps it out of the shell history.")
def create(email: str, *, organizer: bool, name: str | None, password: str) -> None:
    """Create an account with a verified email.

    The first organizer becomes the owner of the organization. If ORGANIZER_SIGNUP is
    own_organization, each organizer becomes the owner of a new organization.
    """
    account = {"email": email, "password": password, "is_organizer": organizer}
    try:
        fields = SignupSchema().load(account | ({"name": name} if name else {}))
        tenancy = Tenancy(current_app.config["ORGANIZER_SIGNUP"])
        fields.pop("is_organizer")
        role = _organizer_role(tenancy) if organizer else MemberRole.USER
        user = sign_up(**fields, role=role, tenancy=tenancy, is_verified=True)
    except ValidationError as error:
        raise click.ClickException(str(error.messages)) from None
    except EmailTaken as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Created {'owner' if user.is_owner else user.role} {user.email} with ID {user.id}.")


@users.command("list")
@click.option("-q", help="Only accounts with these words in the name or email.")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="Only accounts with this role.")
@click.option("--active/--inactive", "is_active", default=None, help="Only accounts with or without access.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, as in the API.")
def show(*, q: str | None, role: str | None, is_active: bool | None, as_json: bool) -> None:
    """List the accounts that match all filters, sorted by email."""
    found = all_people(q=q, role=Role(role) if role else None, is_active=is_active)
    if as_json:
        schema = UserSchema()
        for user in found:
            click.echo(current_app.json.dumps(schema.dump(user)))
    else:
        _echo_table(["EMAIL", "ROLE", "ACCESS", "SINCE", "ID", "NAME"], [_row(user) for user in found])


@users.command()
@click.argument("email")
def deactivate(email: str) -> None:
    """Revoke an account's access, log the person out everywhere and notify them by email.

    The account's data is kept, and `flask users activate` restores access. The last active owner of an
    organization cannot be deactivated, unless ORGANIZER_SIGNUP is open and another active organizer remains.
    """
    try:
        user = user_by_email(email)
        if user is None:
            raise UserNotFound
        if not user.is_active:
            click.echo(f"{user.email} is already deactivated.")
            return
        deactivate_account(user.id, tenancy=Tenancy(current_app.config["ORGANIZER_SIGNUP"]))
    except DomainError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{user.email} no longer has access.")


@users.command()
@click.argument("email")
def activate(email: str) -> None:
    """Restore the access of a deactivated account and notify the person by email."""
    try:
        user = user_by_email(email)
        if user is None or user.email.endswith(f"@{ERASED_DOMAIN}"):
            raise UserNotFound
        if user.is_active:
            click.echo(f"{user.email} already has access.")
            return
        activate_account(user.id, tenancy=Tenancy(current_app.config["ORGANIZER_SIGNUP"]))
    except DomainError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{user.email} has access again.")


def _organizer_role(tenancy: Tenancy) -> MemberRole:
    """Return the role of a new organizer: owner, unless the only organization already has an owner."""
    has_owner = tenancy.is_single and has_leaders(only_organization(), [MemberRole.OWNER])
    return MemberRole.ORGANIZER if has_owner else MemberRole.OWNER


def _row(user: Person) -> list[str]:
    access = "none" if not user.is_active else "invited" if user.is_invited else "active"
    # one_line removes line breaks and terminal escapes, which would corrupt the table
    email, name = one_line(user.email), one_line(user.name or "")
    return [email, user.role, access, f"{user.created_at:%Y-%m-%d}", str(user.id), name]


def _echo_table(head: list[str], rows: list[list[str]]) -> None:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
