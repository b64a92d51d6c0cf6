"""`/users`: one's own account, and for organizers everybody's."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

import flask

from bookings_api.accounts.schemas import UserSchema
from bookings_api.auth import services as auth_services
from bookings_api.errors import EmailTaken, InvalidCredentials, LastOrganizer, UserNotFound, WrongPassword
from bookings_api.http.authentication import current_login_id, current_user
from bookings_api.http.blueprint import LOCATION, Blueprint
from bookings_api.http.conditional import ETAG, if_match
from bookings_api.http.openapi.examples import COLLEAGUE
from bookings_api.http.pagination import Listing
from bookings_api.http.rate_limiting.limits import by_account, failures, of_email, of_mailbox, successes
from bookings_api.models import Role, User
from bookings_api.users import queries, services
from bookings_api.users.schemas import (
    InvitationSchema,
    PasswordChangeSchema,
    ProfileChangeSchema,
    UserChangeSchema,
    UserQuerySchema,
)

blp = Blueprint("users", __name__, url_prefix="/users", description="One's own account; for organizers, all of them")


def _own_address(*_: Any) -> str:
    """Count with the logins: a stolen access token is not to be had for guessing the password, nor any for hashing."""
    return of_email(current_user.email)


def _giving(changes: dict[str, Any], *, user_id: UUID) -> str | None:
    """Count for each account what it is given, whoever gives it: organizers together cannot flood somebody with mail.

    Taking role or access away is never refused, lest somebody keep an account by using up its share; each time follows
    one of giving.
    """
    gives = changes.get("role") is Role.ORGANIZER or changes.get("is_active", False)
    return str(user_id) if gives else None


def _invited(invitation: dict[str, Any]) -> str:
    """Count with the bookings for guests: it is all mail that others cause."""
    return of_mailbox(invitation["email"])


@blp.route("/me", methods=["GET"])
@blp.doc(operationId="getProfile")
@blp.login_required()
@blp.if_none_match()
@blp.response(200, UserSchema)
def get_profile() -> User:
    """Get one's own account.

    Its `role` says whether one may manage events and accounts.
    """
    return current_user


@blp.route("/me", methods=["PATCH"])
@blp.doc(operationId="changeProfile")
@blp.login_required()
@blp.if_match()
@blp.arguments(ProfileChangeSchema)
@blp.response(200, UserSchema, example=UserSchema.example(name="Uri Levin", version=2))
def change_profile(changes: dict[str, Any]) -> User:
    """Change one's own name.

    Mails call one by it from now on. Bookings that were made in the old name keep it.
    """
    return services.change_profile(user=current_user, changes=changes, precondition=if_match())


@blp.route("/me/password", methods=["POST"])
@blp.doc(operationId="changePassword")
@blp.login_required()
@blp.limited("LOGIN_ACCOUNT_LIMIT", by=_own_address)
@blp.limited("LOGIN_FAILURE_LIMIT", by=_own_address, counts=failures(WrongPassword))
@blp.problems(WrongPassword, InvalidCredentials)
@blp.arguments(PasswordChangeSchema)
@blp.response(204)
def change_password(passwords: dict[str, str]) -> None:
    """Change one's own password.

    That ends every other login of the account; this one goes on. The present password is needed once more, and wrong
    ones count as they do for a login.
    """
    auth_services.change_password(user=current_user, login_id=current_login_id(), **passwords)


@blp.route("/", methods=["GET"])
@blp.doc(operationId="listUsers")
@blp.login_required(organizer=True)
@blp.listing(UserQuerySchema, UserSchema)
def list_users(**filters: Any) -> Listing:
    """List accounts by e-mail address.

    Those of users and of organizers, also the invited and the deactivated ones.
    """
    return queries.list_users(**filters)


@blp.route("/", methods=["POST"])
@blp.doc(operationId="inviteUser")
@blp.login_required(organizer=True)
@blp.limited("INVITATION_LIMIT", by=by_account(), counts=successes)
@blp.problems(EmailTaken)
@blp.arguments(InvitationSchema)
@blp.limited("GUEST_MAIL_LIMIT", by=_invited, counts=successes)
@blp.alt_response(
    200,
    schema=UserSchema,
    headers=ETAG,
    example=UserSchema.example(**COLLEAGUE, is_invited=True, version=2),
    description="Invited again: the earlier invitation is void",
    success=True,
)
@blp.response(201, UserSchema, headers=LOCATION, example=UserSchema.example(**COLLEAGUE, is_invited=True))
def invite_user(invitation: dict[str, Any]) -> tuple[User, HTTPStatus, dict[str, str]]:
    """Invite a user or an organizer by mail.

    The mail has a token that works once, for seven days. Who has not accepted yet may be invited again: then the answer
    is 200, the earlier invitation is void, and role and name stay unless they are given.
    """
    user, is_new = services.invite_user(actor=current_user, **invitation)
    address = {"Location": flask.url_for("users.get_user", user_id=user.id)}
    return (user, HTTPStatus.CREATED, address) if is_new else (user, HTTPStatus.OK, {})


@blp.route("/<uuid:user_id>", methods=["GET"])
@blp.doc(operationId="getUser")
@blp.login_required(organizer=True)
@blp.if_none_match()
@blp.problems(UserNotFound)
@blp.response(200, UserSchema)
def get_user(user_id: UUID) -> User:
    """Get an account.

    Also one that is deactivated, or whose invitation is not accepted yet.
    """
    return queries.get_user(user_id)


@blp.route("/<uuid:user_id>", methods=["PATCH"])
@blp.doc(operationId="changeUser")
@blp.login_required(organizer=True)
@blp.if_match()
@blp.problems(UserNotFound, LastOrganizer)
@blp.arguments(UserChangeSchema, example={"role": Role.ORGANIZER.value})
@blp.limited("NOTICE_LIMIT", by=_giving, counts=successes)
@blp.response(200, UserSchema, example=UserSchema.example(role=Role.ORGANIZER.value, version=2))
def change_user(changes: dict[str, Any], user_id: UUID) -> User:
    """Change name, role or access of an account.

    Another role, or no access, ends the account's logins, and the person is told by mail. One active organizer has to
    remain.
    """
    return services.change_user(actor=current_user, user_id=user_id, changes=changes, precondition=if_match())


@blp.route("/<uuid:user_id>", methods=["DELETE"])
@blp.doc(operationId="deactivateUser")
@blp.login_required(organizer=True)
@blp.if_match()
@blp.problems(UserNotFound, LastOrganizer)
@blp.response(204)
def deactivate_user(user_id: UUID) -> None:
    """Deactivate an account.

    It cannot log in any more, its logins end, and the person is told by mail. Nothing is lost: its bookings and events
    stay, and `is_active` lets it in again. One active organizer has to remain.
    """
    services.deactivate_user(actor=current_user, user_id=user_id, precondition=if_match())
