"""Queries for the people in organizations: members, invited people and customers."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.listing import Listing, ListQuery, Order, folded, search, words_in
from bookings_api.errors import UserNotFound
from bookings_api.extensions import db
from bookings_api.models import OwnPerson, Person, Role
from bookings_api.permissions import Action, Actor, organization_for

_BY_EMAIL, _BY_ID = "email", "id"


def _filters(person: type[Person]) -> dict[str, sa.ColumnElement[bool]]:
    return {
        **words_in(folded(sa.func.concat_ws(" ", person.name, person.email))),
        "role": person.role == sa.bindparam("role"),
        "is_active": person.is_active == sa.bindparam("is_active"),
    }


def _orders(person: type[Person]) -> list[Order]:
    return [Order(sa.func.lower(person.email), name=_BY_EMAIL), Order(person.id, name=_BY_ID)]


_OWN_PEOPLE = ListQuery(sa.select(OwnPerson), filters=_filters(OwnPerson), orders=_orders(OwnPerson))
# Faster than `_OWN_PEOPLE` with a single organization, because PostgreSQL reads a page's rows in the order of an index.
_PEOPLE = ListQuery(
    sa.select(Person).where(Person.organization_id == sa.bindparam("organization_id")),
    filters=_filters(Person),
    orders=_orders(Person),
)
_ALL_PEOPLE = ListQuery(
    sa.select(Person), filters=_filters(Person), orders=[Order(sa.func.lower(Person.email), Person.organization_id)]
)


def list_people(
    actor: Actor,
    *,
    organization_id: UUID | None = None,
    q: str | None = None,
    role: Role | None = None,
    is_active: bool | None = None,
    is_sorted_by_id: bool = False,
) -> Listing:
    """Return the people in an organization, sorted by email or ID. `q` searches names and emails (see `words_in`).

    Raises the errors of `organization_for`.
    """
    organization_id = organization_for(actor, Action.MANAGE_PEOPLE, organization_id)
    people, order = _PEOPLE if actor.tenancy.is_single else _OWN_PEOPLE, _BY_ID if is_sorted_by_id else _BY_EMAIL
    return people(order, organization_id=organization_id, role=role, is_active=is_active, **search(q))


def all_people(*, q: str | None, role: Role | None, is_active: bool | None) -> Sequence[Person]:
    """Return the people in all organizations, for operators. The filters are those of `list_people`.

    A person who belongs to several organizations is returned once for each of them.
    """
    listing = _ALL_PEOPLE(role=role, is_active=is_active, **search(q))
    return db.session.scalars(listing.with_values()).all()


def get_person(actor: Actor, user_id: UUID, *, organization_id: UUID | None = None) -> Person:
    """Return a person in the actor's organization. Raises `UserNotFound` and the errors of `organization_for`."""
    organization_id = organization_for(actor, Action.MANAGE_PEOPLE, organization_id)
    person = db.session.get(Person, (organization_id, user_id), populate_existing=True)
    if person is None:
        raise UserNotFound
    return person
