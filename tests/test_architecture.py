"""Dependencies point one way, layers import only what they may, and files are short."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from bookings_api.errors import DomainError
from bookings_api.http.problems import DOMAIN_PROBLEMS
from tests.counter_changes import changes_counters

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bookings_api"
MAX_LINES = 300

# The features, and the other features that each may import
FEATURES: dict[str, set[str]] = {
    "auth": set(),
    "users": {"bookings"},
    "organizations": set(),
    "api_keys": set(),
    "events": set(),
    "teams": {"events"},
    "ticket_types": {"events"},
    "bookings": {"events", "ticket_types"},
    "check_in": {"events"},
}

# What the modules of each layer may import. A layer is the module name in a feature package, or the name of a shared
# package. Other modules of a feature belong to its services. Shared packages without an entry must only avoid cycles.
MAY_IMPORT = {
    "routes": {
        "routes", "schemas", "services", "queries", "http", "accounts", "calendar", "models", "errors", "database",
        "observability", "idempotency", "permissions", "limits",
    },
    "limits": {"http", "queries", "models", "errors", "idempotency"},
    "schemas": {"schemas", "http", "accounts", "models"},
    "services": {
        "services", "permissions", "queries", "accounts", "mail", "models", "errors", "database", "extensions",
        "idempotency", "inventory",
    },
    "queries": {"queries", "permissions", "models", "errors", "database", "extensions", "inventory"},
    "inventory": {"inventory", "mail", "models", "errors", "database", "extensions"},
    "permissions": {"permissions", "models", "errors"},
    "models": {"models", "database"},
    "database": {"database", "extensions"},
    "errors": {"errors"},
}  # fmt: skip

# Libraries and modules that a layer must not import
MUST_NOT_IMPORT = {
    "routes": {
        "sqlalchemy", "celery", "flask_mail", "bookings_api.database.transactions", "bookings_api.database.prepared",
    },
    "schemas": {"flask", "flask_jwt_extended", "sqlalchemy", "celery", "bookings_api.http.authentication"},
    "services": {"flask", "flask_jwt_extended", "marshmallow", "celery"},
    "queries": {"flask", "flask_jwt_extended", "marshmallow", "celery"},
    "permissions": {"flask", "flask_jwt_extended", "marshmallow", "sqlalchemy", "celery"},
    "models": {"flask", "flask_mail", "marshmallow", "celery"},
    "errors": {"flask", "http", "werkzeug", "marshmallow"},
}  # fmt: skip

# What belongs to a person or an organization
OWNED = {
    "ApiKey", "Booking", "Event", "Login", "Membership", "Organization", "OutboxEmail", "OwnOrganization", "OwnPerson",
    "Person", "TeamEntry", "TeamMember", "TicketType", "User",
}  # fmt: skip

# Modules and functions of features that read it without knowing the actor, each with the reason
READ_WITHOUT_ACTOR = {
    "auth/services.py:_join_team": "an emailed token names the event",
    "users/erasure.py": "starts from the account that is erased",
    "users/export.py": "starts from the account that is exported",
    "users/queries.py:all_people": "for operators",
    "events/queries.py:upcoming_events": "published events are public",
    "events/queries.py:read_public_event": "for anonymous clients",
    "bookings/previews.py:_facts_without_expired_holds": "`evaluate` checks the facts, which start from the actor",
    "bookings/ordering.py:_end_holds": "expired holds end, whoever asks",
    "bookings/payments.py:_known_payment": "its caller has locked the booking for the actor",
    "events/services.py:_require_unused_currency": "its caller has locked the event for the actor",
    "bookings/locking.py": "the statements start from the login or the key, and `decide` checks the locked event",
    "bookings/queries.py:bookings_of": "starts from the login, which saves a query",
    "bookings/queries.py:bookings_made_with_keys": "starts from the key that sends the request",
    "bookings/queries.py:has_booked": "starts from the key that sends the request",
}
# Those whose callers must know the actor
UNCHECKED = {"lock_event"}

# `counters` adds and subtracts. Cancelling an event and the audit's repair set the counters.
MAY_CHANGE_COUNTERS = {"inventory/counters.py", "inventory/cancellation.py", "audit/repair.py"}

# The factory in __init__.py may import everything.
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


def _imports(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted names of everything that is imported at run time."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from _imports(node)


@cache
def _imported(path: Path) -> set[str]:
    return set(_imports(ast.parse(path.read_text())))


def _parts(path: Path) -> list[str]:
    """Split `bookings_api/events/services.py` into `["events", "services"]`."""
    return list(path.relative_to(PACKAGE).with_suffix("").parts)


def _own_imports(path: Path) -> Iterator[list[str]]:
    """Yield what a module imports from the package; `bookings_api.events.queries.X` is `["events", "queries", "X"]`."""
    for dotted in _imported(path):
        package, *parts = dotted.split(".")
        if package == PACKAGE.name and parts:
            yield parts


def _layer(parts: list[str]) -> str:
    if parts[0] not in FEATURES:
        return parts[0]
    return next((part for part in parts[1:2] if part in MAY_IMPORT), "services")


def test_packages_form_no_cycles() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        package = _parts(path)[0]
        graph[package] |= {imported for imported, *_ in _own_imports(path)} - {package}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@each_module
def test_layers_import_only_the_layers_below(path: Path) -> None:
    allowed = MAY_IMPORT.get(_layer(_parts(path)))
    if allowed is None or path.name == "__init__.py":
        return
    assert {_layer(parts) for parts in _own_imports(path)} <= allowed


@each_module
def test_features_import_only_the_features_they_build_on(path: Path) -> None:
    feature = _parts(path)[0]
    if feature in FEATURES:
        imported = {parts[0] for parts in _own_imports(path)} & FEATURES.keys()
        assert imported <= FEATURES[feature] | {feature}


@each_module
def test_layers_do_not_know_foreign_libraries(path: Path) -> None:
    forbidden = MUST_NOT_IMPORT.get(_layer(_parts(path)), set())
    assert not {name for name in _imported(path) if any(f"{name}.".startswith(f"{other}.") for other in forbidden)}


def test_bookings_do_not_call_services_of_events() -> None:
    for path in (PACKAGE / "bookings").glob("*.py"):
        assert ["events", "services"] not in [parts[:2] for parts in _own_imports(path)], path


@each_module
def test_only_entry_points_read_the_configuration(path: Path) -> None:
    if "local_stack" not in path.parts:
        assert not {"config", "wsgi", "environs"} & {name.split(".")[0] for name in _imported(path)}


@each_module
def test_only_transactions_commit(path: Path) -> None:
    if path.name != "transactions.py":
        assert ".commit()" not in path.read_text()


def test_only_permissions_decide_what_the_scopes_of_api_keys_allow() -> None:
    """Routes and services name actions. The other modules store and validate scopes."""
    naming = re.compile(r"\bScope\.[A-Z]")
    found = {str(path.relative_to(PACKAGE)) for path in MODULES if naming.search(path.read_text())}

    assert found == {"permissions.py", "api_keys/schemas.py"}


@each_module
def test_features_read_what_is_owned_only_for_an_actor(path: Path) -> None:
    """Functions that read it have a parameter for the actor and use it, so no route can forget to check it."""
    name = str(path.relative_to(PACKAGE))
    if _parts(path)[0] not in FEATURES or name in READ_WITHOUT_ACTOR:
        return
    statements, found = set(UNCHECKED), set()
    for node in ast.parse(path.read_text()).body:
        if not _reads_owned(node, statements):
            continue
        if isinstance(node, ast.Assign | ast.AnnAssign):
            statements |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and _is_stored(one)}
        elif isinstance(node, ast.FunctionDef) and not _uses_actor(node):
            found.add(f"{name}:{node.name}")

    assert found == {one for one in READ_WITHOUT_ACTOR if one.startswith(f"{name}:")}


def _reads_owned(node: ast.AST, statements: set[str]) -> bool:
    """Whether this code selects or gets a model in `OWNED`, or uses one of these statements."""
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and not _is_stored(one)}
    names |= {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
    selects = any(ast.unparse(call.func).rpartition(".")[2] == "select" for call in calls)
    gets = any(
        isinstance(call.func, ast.Attribute)
        and call.func.attr in {"get", "get_one", "query"}
        and ast.unparse(arg) in OWNED
        for call in calls
        for arg in call.args[:1]
    )
    return gets or (selects and bool(names & OWNED)) or bool(names & statements)


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _uses_actor(function: ast.FunctionDef) -> bool:
    arguments = [*function.args.args, *function.args.kwonlyargs]
    actors = {one.arg for one in arguments if one.annotation and "Actor" in ast.unparse(one.annotation).split()}
    return any(isinstance(one, ast.Name) and one.id in actors for one in ast.walk(function))


def test_only_a_few_modules_change_the_counters_of_tickets() -> None:
    found = {str(path.relative_to(PACKAGE)) for path in MODULES if changes_counters(path.read_text())}

    assert found <= MAY_CHANGE_COUNTERS


@pytest.mark.parametrize(
    "source",
    [
        'sa.text("UPDATE events SET tickets_held = 0")',
        'sa.text("""update events\nset (version, tickets_booked, tickets_held) = (2, 0, 0)""")',
        'sa.text(f"UPDATE {table} SET version = {version}, tickets_held = 0")',
        'sa.update(Event).values({"tickets_booked": 0})',
        "sa.update(Event).values({Event.tickets_held: 0})",
        "sa.update(Event).values(tickets_held=held).where(Event.id == event_id)",
        'statement.with_values(**{"tickets_held": 0})',
        'setattr(event, "tickets_held", 0)',
        "event.tickets_held = 0",
        "event.tickets_booked -= 1",
        "event.tickets_booked, event.tickets_held = 0, 0",
    ],
)
def test_code_that_changes_counters_is_found(source: str) -> None:
    assert changes_counters(source)


@pytest.mark.parametrize(
    "source",
    [
        "tickets_held = ma.fields.Integer()",
        'response = {"tickets_held": event.tickets_held}',
        "SoldOut(tickets_booked=event.tickets_booked)",
        "sa.update(Event).values(version=2).where(Event.tickets_held > 0)",
        'sa.text("UPDATE events SET capacity = tickets_booked")',
        '"""Values of `tickets_held` that requests set."""',
    ],
)
def test_code_that_only_reads_counters_is_allowed(source: str) -> None:
    assert not changes_counters(source)


def test_every_domain_error_has_a_problem() -> None:
    def subclasses(base: type[DomainError]) -> Iterator[type[DomainError]]:
        for error in base.__subclasses__():
            yield error
            yield from subclasses(error)

    assert set(subclasses(DomainError)) == set(DOMAIN_PROBLEMS)


def test_files_are_short() -> None:
    files = (path for folder in ("bookings_api", "tests", "scripts") for path in (ROOT / folder).rglob("*.py"))

    assert [path for path in files if len(path.read_text().splitlines()) > MAX_LINES] == []
