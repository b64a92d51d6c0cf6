"""`migrate_admin_roles.py [--to ROLE] [--only EMAIL ...] [--dry-run]`: converts the roles of an older `users` table.

The older schema has the roles `ADMIN` and `USER`, as the PostgreSQL enum `userrole` or as text. This service has
`organizer` and `user`, as text. The script locks the table for one transaction, so stop the older service first. If the
script does not recognize the table, it changes nothing and reports what it found.
"""

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psycopg2
from environs import Env
from psycopg2 import errors, extensions
from psycopg2.sql import SQL, Identifier
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

ENV_FILE = Path(os.environ.get("ENV_FILE") or Path(__file__).resolve().parents[1] / ".env")
DATABASES = {"postgres", "postgresql"}
CONNECT_SECONDS = 10
LOCK_TIMEOUT = "3s"

ADMIN, USER, ORGANIZER = "admin", "user", "organizer"
NO_ROLE = "NULL"
ENUM = "userrole"
NEW_TYPE = "varchar(32)"

# A string constant as PostgreSQL prints a default: 'USER'::userrole
LITERAL = re.compile(r"'((?:[^']|'')*)'::[^']+")


class Refusal(Exception):
    """The migration is refused, and nothing has changed. The message for the operator has one line."""


class Account(NamedTuple):
    """A row of `users` as text. A NULL email becomes an empty string, and a NULL role becomes `NO_ROLE`."""

    id: str
    email: str
    role: str

    @property
    def is_admin(self) -> bool:
        return self.role.lower() == ADMIN


@dataclass(frozen=True, kw_only=True)
class RoleColumn:
    """The column `users.role`. `labels` are the labels of the enum, or empty for a text column."""

    type: str
    type_schema: str
    labels: Sequence[str]
    width: int | None
    default: str | None

    @property
    def needs_conversion(self) -> bool:
        """Whether the column cannot store the new roles."""
        return bool(self.labels) or (self.width is not None and self.width < len(ORGANIZER))


def main() -> None:
    arguments = parse_arguments()
    try:
        lines = run(arguments.database_url, to=arguments.to, only=arguments.only, dry_run=arguments.dry_run)
    except Refusal as refusal:
        sys.exit(f"{Path(__file__).name}: {refusal}")
    print(*lines, sep="\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Convert the role ADMIN of an older users table to organizer or user, in one transaction.",
        epilog="Exit status: 0 done or nothing to do; 1 failed without changing anything; 2 invalid arguments.",
    )
    parser.add_argument("--database-url", metavar="URL", help="default: DATABASE_URL from the environment or .env")
    parser.add_argument("--to", choices=[ORGANIZER, USER], default=ORGANIZER, help="new role of admins (%(default)s)")
    parser.add_argument("--only", metavar="EMAIL", nargs="+", action="extend", help="convert only these admins")
    parser.add_argument("--dry-run", action="store_true", help="show the changes to each row, then roll back")
    return parser.parse_args()


def run(url: str | None, *, to: str, only: Sequence[str] | None, dry_run: bool) -> list[str]:
    """Migrate in one transaction, and return lines that describe the changes. Raises `Refusal`."""
    connection = connect(url_from_environment() if url is None else url)
    try:
        with connection.cursor() as cursor:
            lines = migrate(cursor, to=to, only=only)
        if dry_run:
            connection.rollback()
            return [*lines, "Dry run: all changes were rolled back."]
        connection.commit()
    except psycopg2.Error as error:
        raise Refusal(explain(error)) from error
    else:
        return lines
    finally:
        connection.close()


def url_from_environment() -> str:
    env = Env()
    env.read_env(str(ENV_FILE), recurse=False)  # the environment wins, as in config.py
    url = env.str("DATABASE_URL", "")
    if not url:
        raise Refusal("DATABASE_URL is not set. Set it in the environment or .env, or pass --database-url.")
    return url


def connect(text: str) -> extensions.connection:
    """Connect to the database. Raises `Refusal` with a message that does not contain the password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    # Reject a second @, which must be %40 in a password. Otherwise, error messages might show part of the password.
    if url is None or url.get_backend_name() not in DATABASES or not url.database or text.count("@") > 1:
        raise Refusal("The database URL must look like postgresql://user:password@host:5432/name.")
    url = url.set(drivername="postgresql+psycopg2")
    _, options = url.get_dialect()().create_connect_args(url)
    try:
        connection: extensions.connection = psycopg2.connect(**{"connect_timeout": CONNECT_SECONDS, **options})
    except psycopg2.OperationalError as error:
        raise Refusal(f"Cannot connect to the database: {one_line(str(error))}") from error
    except (psycopg2.Error, ValueError):
        raise Refusal("The database URL has an invalid option or value.") from None
    connection.set_session(isolation_level="READ COMMITTED")  # so that statements after the lock see current rows
    return connection


def explain(error: psycopg2.Error) -> str:
    if isinstance(error, errors.LockNotAvailable):
        return f"The table users is still in use after {LOCK_TIMEOUT}. Stop the older service and try again."
    if error.pgcode is None:
        return "The connection was lost. Run the script again; it converts only the remaining roles."
    message = error.diag.message_primary or ""
    if isinstance(error, errors.FeatureNotSupported):  # names the view; the detail of other errors may contain a row
        message += f" ({error.diag.message_detail})"
    return f"The database reported an error, and nothing was changed: {one_line(message)}"


def one_line(text: str) -> str:
    return " ".join(text.split())


def migrate(cursor: extensions.cursor, *, to: str, only: Sequence[str] | None) -> list[str]:
    """Make all changes without a commit, and return lines that describe them. Raises `Refusal` or `psycopg2.Error`."""
    lock_users(cursor)
    cursor.execute("SELECT to_regclass('memberships')")
    if cursor.fetchall() != [(None,)]:  # a database of this service, where memberships have the roles
        return ["Nothing to do."]
    column, accounts = read_role_column(cursor), read_accounts(cursor)
    require_known([*column.labels, *(account.role for account in accounts), column.default or USER])
    chosen = choose_admins(accounts, only=only, to=to)

    planned = [account._replace(role=new_role(account.role, to if account in chosen else None)) for account in accounts]
    changes = [(old, new) for old, new in zip(accounts, planned, strict=True) if old != new]
    default = column.default and new_role(column.default, None if only else to)
    lines = [f"{old.id}  {old.email}  {old.role} -> {new.role}" for old, new in changes]
    altered = alter_column(cursor, column, default)
    for role in (ORGANIZER, USER):
        ids = [new.id for _, new in changes if new.role == role]
        if ids:
            cursor.execute("UPDATE users SET role = %s WHERE id::text = ANY(%s)", (role, ids))
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # so a dry run fails where a commit would
    if [(account.id, account.role) for account in read_accounts(cursor)] != [(new.id, new.role) for new in planned]:
        raise Refusal("The table users does not contain the roles that were written. Check its triggers and rules.")

    if not changes and not altered:
        lines.append("Nothing to do.")
    totals = Counter(f"{old.role} -> {new.role}" for old, new in changes)
    lines += [*altered, *(f"{number} x {change}" for change, number in sorted(totals.items()))]
    waiting = [f"{account.email} ({account.role})" for account in planned if account.is_admin]
    if waiting:
        lines.append(f"Unchanged, because not listed in --only: {listed(waiting)}")
    return lines


def lock_users(cursor: extensions.cursor) -> None:
    """Lock the table exclusively until the end of the transaction."""
    cursor.execute("""
        SELECT current_schemas(false), to_regclass('users') IN (SELECT oid FROM pg_class WHERE relkind IN ('r', 'p'))
    """)
    ((schemas, exists),) = cursor.fetchall()
    if not exists:
        raise Refusal(f"Schema {listed(schemas) or '(none accessible to this user)'} has no table users.")
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
    cursor.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")


def read_role_column(cursor: extensions.cursor) -> RoleColumn:
    """Read the definition of `users.role`. Raises `Refusal` for an unknown schema."""
    cursor.execute("""
        SELECT attname, typname, nspname, typtype, format_type(atttypid, atttypmod), atttypmod - 4,
               pg_get_expr(adbin, adrelid),
               ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = atttypid ORDER BY enumsortorder)
        FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid JOIN pg_namespace ON pg_namespace.oid = typnamespace
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = to_regclass('users') AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
    """)
    columns = {name: rest for name, *rest in cursor.fetchall()}
    missing = [name for name in ("id", "email", "role") if name not in columns]
    if missing:
        raise Refusal(f"The table users has no column {listed(missing)}; found {listed(columns)}.")
    name, schema, kind, written, width, expression, labels = columns["role"]
    if (name, kind) != (ENUM, "e") and (schema, name) not in {("pg_catalog", "text"), ("pg_catalog", "varchar")}:
        raise Refusal(f"The column users.role must be the enum {ENUM} or text; found {written}.")
    width = width if name == "varchar" and width > 0 else None
    return RoleColumn(type=written, type_schema=schema, labels=labels, width=width, default=literal(expression))


def literal(expression: str | None) -> str | None:
    """Return the role in a column default, or None. Raises `Refusal` if the default is not a constant."""
    if expression is None or expression.startswith("NULL::"):
        return None
    match = LITERAL.fullmatch(expression)
    if not match:
        raise Refusal(f"The default of users.role must be a string constant; found {expression}.")
    return match[1]


def read_accounts(cursor: extensions.cursor) -> list[Account]:
    cursor.execute(
        "SELECT id::text, coalesce(email::text, ''), coalesce(role::text, %s) FROM users ORDER BY id", [NO_ROLE]
    )
    return [Account(*row) for row in cursor.fetchall()]


def require_known(roles: Iterable[str]) -> None:
    known = {ADMIN, USER, ORGANIZER}
    unknown = sorted({role if role == NO_ROLE else repr(role) for role in roles if role.lower() not in known})
    if unknown:
        raise Refusal(f"The column users.role may only contain admin, user and organizer; found {listed(unknown)}.")


def choose_admins(accounts: Sequence[Account], *, only: Sequence[str] | None, to: str) -> set[Account]:
    """Return the admins whose email is in `only`, or all admins. Raises `Refusal` for an email of another account.

    Emails of accounts that already have the new role are accepted, so that operators can repeat the same command.
    """
    admins = {account for account in accounts if account.is_admin}
    if only is None:
        return admins
    addresses = {account.email.lower() for account in accounts if account.is_admin or account.role == to} - {""}
    unknown = [address for address in only if address.lower() not in addresses]
    if unknown:
        raise Refusal(f"No admin has the address {listed(unknown)}.")
    return {admin for admin in admins if admin.email.lower() in [address.lower() for address in only]}


def new_role(role: str, of_admins: str | None) -> str:
    """Return the new name of `role`. The new role of admins is `of_admins`, or unchanged if that is None."""
    if role.lower() == ADMIN:
        return of_admins or role
    return role.lower()


def alter_column(cursor: extensions.cursor, column: RoleColumn, default: str | None) -> list[str]:
    """Convert the column to text and convert its default, if necessary. Drop the enum if nothing else uses it."""
    clauses, lines = [], []
    if column.needs_conversion:
        clauses = ["ALTER role DROP DEFAULT", f"ALTER role TYPE {NEW_TYPE} USING role::text"]
        lines = [f"Column users.role: {column.type} -> {NEW_TYPE}"]
    if default is not None and (clauses or default != column.default):
        clauses.append("ALTER role SET DEFAULT %(default)s")
    if default != column.default:
        lines.append(f"Default of users.role: {column.default} -> {default}")
    if clauses:
        cursor.execute(f"ALTER TABLE users {', '.join(clauses)}", {"default": default})
    if column.labels:
        lines.append(drop_enum(cursor, column))
    return lines


def drop_enum(cursor: extensions.cursor, column: RoleColumn) -> str:
    cursor.execute("SAVEPOINT enum")
    try:
        cursor.execute(SQL("DROP TYPE {}").format(Identifier(column.type_schema, ENUM)))
    except errors.DependentObjectsStillExist as error:
        cursor.execute("ROLLBACK TO SAVEPOINT enum")
        return f"Type {ENUM}: kept ({one_line(error.diag.message_detail or '')})"
    return f"Type {ENUM}: dropped"


def listed(words: Iterable[str]) -> str:
    return ", ".join(words)


if __name__ == "__main__":
    main()
