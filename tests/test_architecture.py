"""The rules of the house: arrows between rooms point down only, and files stay small."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from bookings_api.errors import BookingError
from bookings_api.http.problems import DOMAIN_PROBLEMS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bookings_api"
MAX_LINES = 300

FEATURES = ("auth", "users", "events", "bookings")

# Which kind of module may import which. A kind is a file name in a feature package, or the name of a shared package.
MAY_IMPORT = {
    "routes": {
        "routes", "schemas", "services", "queries", "idempotency", "accounts", "http", "calendar", "errors", "models",
        "observability",
    },
    "schemas": {"schemas", "accounts", "http", "models"},
    "services": {
        "services", "queries", "permissions", "times", "idempotency", "rules", "placing", "accounts", "calendar",
        "models", "errors", "database", "mail", "extensions",
    },
    "rules": {"models", "errors"},
    "placing": {"rules", "models", "calendar", "database"},
    "times": {"models"},
    "idempotency": {"models", "errors", "database"},
    "queries": {"queries", "permissions", "models", "errors", "database", "extensions"},
    "permissions": {"permissions", "models"},
    "accounts": {"accounts", "http", "models", "errors", "database", "extensions"},
    "http": {"http", "errors", "models", "database", "observability", "extensions"},
    "models": {"models", "database"},
    "calendar": {"calendar", "models"},
    "mail": {"mail", "accounts", "calendar", "models", "database", "observability", "extensions"},
    "housekeeping": {"mail", "models", "database", "extensions"},
    "database": {"database", "extensions"},
    "errors": set(),
    "extensions": set(),
    "observability": {"observability", "mail", "http", "database", "errors", "extensions"},
    "celery_app": {"database", "http", "observability"},
    "audit": {"audit", "queries", "mail", "calendar", "models", "errors", "database", "extensions"},
    "cli": {
        "cli", "audit", "schemas", "services", "queries", "accounts", "calendar", "mail", "models", "errors",
        "database", "extensions",
    },
    "local_stack": {"local_stack", "cli", "celery_app"},
}  # fmt: skip

# What a kind of module must not know of the world outside.
MUST_NOT_KNOW = {
    "services": ("flask", "flask_jwt_extended", "marshmallow", "celery"),
    "queries": ("flask", "flask_jwt_extended", "marshmallow", "celery"),
    "permissions": ("flask", "flask_jwt_extended", "marshmallow", "sqlalchemy", "celery"),
    "schemas": ("flask", "flask_jwt_extended", "sqlalchemy", "celery", "bookings_api.http.authentication"),
    "models": ("flask", "flask_mail", "marshmallow", "celery"),
    "errors": ("flask", "http", "werkzeug", "marshmallow"),
    "routes": ("sqlalchemy.orm", "celery", "flask_mail"),
}

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def kind_of(module: tuple[str, ...]) -> str:
    """`("events", "services")` is a `services`, `("mail", "outbox")` and `("errors",)` are what they begin with."""
    if module[0] in FEATURES:
        return module[1] if len(module) > 1 else "room"
    return module[0]


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names of everything that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(dotted: str) -> tuple[str, ...] | None:
    """The part of a dotted name that is a module of ours: `bookings_api.errors.SoldOut` is `("errors",)`."""
    parts = dotted.split(".")
    if parts[0] != PACKAGE.name:
        return None
    names = parts[1:]
    while names and not (PACKAGE.joinpath(*names).is_dir() or PACKAGE.joinpath(*names).with_suffix(".py").exists()):
        names.pop()
    return tuple(names) or None


def names_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(PACKAGE).with_suffix("").parts


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_down_only(path: Path) -> None:
    kind = kind_of(names_of(path))
    if path.name == "__init__.py" and kind == "__init__":
        allowed = {"models"} if path.parent.name == "models" else set()
    else:
        allowed = MAY_IMPORT[kind]
    wrong = {
        dotted
        for dotted in imports_of(path)
        if (module := module_of(dotted)) is not None and kind_of(module) not in allowed | {"room"}
    }
    assert not wrong, f"{kind} may import {sorted(allowed)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_knows_what_is_not_theirs_to_know(path: Path) -> None:
    forbidden = MUST_NOT_KNOW.get(kind_of(names_of(path)), ())
    wrong = {dotted for dotted in imports_of(path) if any(f"{dotted}.".startswith(f"{name}.") for name in forbidden)}
    assert not wrong


def test_bookings_never_call_services_of_events() -> None:
    imported = {dotted for path in (PACKAGE / "bookings").glob("*.py") for dotted in imports_of(path)}
    assert not {dotted for dotted in imported if dotted.startswith("bookings_api.events.services")}


def test_the_package_does_not_read_the_configuration_itself() -> None:
    for path in MODULES:
        if "local_stack" not in path.parts:
            assert not {"config", "wsgi", "environs"} & {dotted.split(".")[0] for dotted in imports_of(path)}, path


def test_only_transactions_and_migrations_commit() -> None:
    """One use case, one commit: nobody else ends a transaction."""
    for path in MODULES:
        if path.name != "transactions.py":
            assert ".commit()" not in path.read_text(), path


def test_every_domain_error_has_a_problem() -> None:
    def below(base: type[BookingError]) -> Iterator[type[BookingError]]:
        for error in base.__subclasses__():
            yield error
            yield from below(error)

    assert set(below(BookingError)) == set(DOMAIN_PROBLEMS)


@pytest.mark.parametrize(
    "path",
    sorted(path for folder in ("bookings_api", "tests", "scripts") for path in (ROOT / folder).rglob("*.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_file_is_short_enough_to_be_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES
