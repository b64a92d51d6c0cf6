"""`/users`: your own account and, for organizers, the people in an organization."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

import flask

from bookings_api.accounts.profiles import Profile, profile_of
from bookings_api.accounts.schemas import UserSchema
from bookings_api.database.listing import Listing
from bookings_api.errors import (
    BookingsOpen,
    EmailNotVerified,
    EmailTaken,
    InvalidCredentials,
    LastOrganizer,
    LastOwner,
    NotAMember,
    OrganizationNotFound,
    OrganizationRequired,
    ResponsibleForEvents,
    UserNotFound,
    WrongPassword,
)
from bookings_api.http.authentication import current_actor, current_login_id, current_user
from bookings_api.http.blueprint import LOCATION, Blueprint
from bookings_api.http.conditional import ETAG, if_match
from bookings_api.http.idempotency import REPLAYED
from bookings_api.http.openapi.examples import COLLEAGUE
from bookings_api.http.rate_limiting.limits import (
    by_account,
    by_client,
    by_invited_mailbox,
    by_inviter_and_mailbox,
    by_mailbox,
    failures,
    of_email,
    of_mailbox,
    successes,
)
from bookings_api.idempotency import IdempotentRequest
from bookings_api.models import MemberRole, Person, Role
from bookings_api.permissions import Action
from bookings_api.users import erasure, export, own_account, queries, services
from bookings_api.users.schemas import (
    AccountDeletionSchema,
    ExportSchema,
    InvitationSchema,
    OrganizationQuerySchema,
    PasswordChangeSchema,
    ProfileChangeSchema,
    UserChangeSchema,
    UserQuerySchema,
)

blp = Blueprint("users", __name__, url_prefix="/users", description="Manage your account and other people's access")


def _caller_email(*_: Any) -> str:
    """Return the caller's rate limit key for logins, so that a stolen access token allows no extra password guesses."""
    return of_email(current_user.email)


def _caller_choosing_email(changes: dict[str, Any]) -> str | None:
    """Like `_caller_email`, but return None for changes that do not require the password."""
    return _caller_email() if "email" in changes else None


def _client_choosing_email(changes: dict[str, Any]) -> str | None:
    """Return the client's rate limit key for signups, because email changes also reveal whether an email is taken."""
    return by_client() if "email" in changes else None


def _new_mailbox(changes: dict[str, Any]) -> str | None:
    """Return the rate limit key for an email change: one per new email (without `+` suffix), shared by all accounts."""
    return f"new-email/{of_mailbox(changes['email'])}" if "email" in changes else None


def _sender_and_new_mailbox(changes: dict[str, Any]) -> str | None:
    """Return the rate limit key for an email change: one per account and new email (without `+` suffix)."""
    return by_mailbox(_new_mailbox(changes))


def _account_gaining_rights(organization: dict[str, UUID], changes: dict[str, Any], *, user_id: UUID) -> str | None:
    """Return the rate limit key for a change that gives a person rights. Other changes are not limited."""
    grants = changes.get("role", MemberRole.USER) is not MemberRole.USER or changes.get("is_active", False)
    return of_mailbox(queries.get_person(current_actor, user_id, **organization).email) if grants else None


def _status_and_location(user_id: UUID | str, version: int) -> tuple[HTTPStatus, dict[str, str]]:
    """Return the status and headers of the response to an invitation: 201 for a new person, otherwise 200."""
    if version > 1:
        return HTTPStatus.OK, {}
    chosen = flask.request.json.get("organization_id")
    return HTTPStatus.CREATED, {"Location": flask.url_for("users.get_user", user_id=user_id, organization_id=chosen)}


@blp.route("/me", methods=["GET"])
@blp.doc(operationId="getProfile")
@blp.login_required()
@blp.if_none_match()
@blp.response(200, UserSchema)
def get_profile() -> Profile:
    """Get your account.

    The `role` is `organizer` if you are an organizer or owner of at least one organization.
    """
    return profile_of(current_user, current_actor.roles.values())


@blp.route("/me", methods=["PATCH"])
@blp.doc(operationId="changeProfile")
@blp.login_required()
@blp.if_match()
@blp.problems(WrongPassword, EmailTaken)
@blp.arguments(ProfileChangeSchema, example={"name": "Uri Levin"})
@blp.limited("SIGNUP_LIMIT", by=_client_choosing_email)
@blp.limited("LOGIN_ACCOUNT_LIMIT", by=_caller_choosing_email)
@blp.limited("LOGIN_FAILURE_LIMIT", by=_caller_choosing_email, counts=failures(WrongPassword))
@blp.limited("GUEST_MAIL_LIMIT", by=_sender_and_new_mailbox, counts=successes)
@blp.limited("MAILBOX_LIMIT", by=_new_mailbox, counts=successes)
@blp.response(200, UserSchema, example=UserSchema.example(name="Uri Levin", version=2))
def change_profile(changes: dict[str, Any]) -> Profile:
    """Change your name or your email.

    Future emails use the new name. Existing bookings keep the old name and email.

    To change your email, also send your current password. A token is emailed to the new address. Your email changes
    when you send the token to `POST /auth/verify-email`. You are then logged out on all other devices, and your old
    address gets an email about the change.
    """
    return own_account.change_profile(
        user=current_user, login_id=current_login_id(), changes=changes, precondition=if_match()
    )


@blp.route("/me", methods=["DELETE"])
@blp.doc(operationId="deleteAccount")
@blp.login_required()
@blp.limited("LOGIN_ACCOUNT_LIMIT", by=_caller_email)
@blp.limited("LOGIN_FAILURE_LIMIT", by=_caller_email, counts=failures(WrongPassword))
@blp.if_match()
@blp.problems(WrongPassword, InvalidCredentials, BookingsOpen, ResponsibleForEvents, LastOwner, LastOrganizer)
@blp.arguments(AccountDeletionSchema)
@blp.response(204)
def delete_account(deletion: dict[str, Any]) -> None:
    """Delete your account.

    Erases your name and email from your account, bookings, events and emails. The bookings themselves remain. Unsent
    emails about bookings keep your address until they have been sent.

    Before you delete your account, cancel your upcoming bookings or set `cancel_bookings`. Also transfer, cancel or
    delete the events you organize, unless they have ended. If you are the last owner of an organization with other
    members, make one of them an owner. Incorrect passwords count as failed logins. Deletion cannot be undone.
    """
    erasure.delete_account(
        actor=current_actor,
        user=current_user,
        password=deletion["current_password"],
        cancel_bookings=deletion["cancel_bookings"],
        precondition=if_match(),
    )


@blp.route("/me/export", methods=["GET"])
@blp.doc(operationId="exportAccount")
@blp.login_required()
@blp.limited("EXPORT_LIMIT", by=by_account())
@blp.response(200, ExportSchema)
def export_account() -> dict[str, Any]:
    """Get all personal data in your account.

    Returns your account, roles, logins, bookings, emails (without their contents) and API keys, and the IDs of the
    events you organize. Does not include emails that were deleted after the retention period.
    """
    profile = profile_of(current_user, current_actor.roles.values())
    return export.personal_data(current_user) | {"account": UserSchema().dump(profile)}


@blp.route("/me/password", methods=["POST"])
@blp.doc(operationId="changePassword")
@blp.login_required()
@blp.limited("LOGIN_ACCOUNT_LIMIT", by=_caller_email)
@blp.limited("LOGIN_FAILURE_LIMIT", by=_caller_email, counts=failures(WrongPassword))
@blp.problems(WrongPassword, InvalidCredentials)
@blp.arguments(PasswordChangeSchema)
@blp.response(204)
def change_password(passwords: dict[str, str]) -> None:
    """Change your password.

    Requires your current password, and logs you out on all other devices. Incorrect passwords count as failed logins.
    """
    own_account.change_password(user=current_user, login_id=current_login_id(), **passwords)


@blp.route("/", methods=["GET"])
@blp.doc(operationId="listUsers")
@blp.login_required(Action.MANAGE_PEOPLE)
@blp.problems(OrganizationNotFound, OrganizationRequired)
@blp.listing(UserQuerySchema, UserSchema)
def list_users(**filters: Any) -> Listing:
    """List the people in your organization.

    Returns members, people with a pending invitation, and everyone who has used an account to book tickets for the
    organization's events. Includes people without access. People are sorted by email, or by ID if you send `after`.
    """
    return queries.list_people(current_actor, **filters)


@blp.route("/", methods=["POST"])
@blp.doc(operationId="inviteUser")
@blp.login_required(Action.MANAGE_PEOPLE)
@blp.problems(EmailTaken, OrganizationNotFound, OrganizationRequired)
@blp.arguments(InvitationSchema)
@blp.idempotent(UserSchema, replay=lambda user: _status_and_location(user["id"], user["version"]))
@blp.limited("INVITATION_LIMIT", by=by_account(), counts=successes)
@blp.limited("GUEST_MAIL_LIMIT", by=by_inviter_and_mailbox, counts=successes)
@blp.limited("MAILBOX_LIMIT", by=by_invited_mailbox, counts=successes)
@blp.alt_response(
    200,
    schema=UserSchema,
    headers=ETAG | REPLAYED,
    example=UserSchema.example(**COLLEAGUE, is_invited=True, version=2),
    description="The person was already in the organization or invited to it. Earlier invitations stop working.",
    success=True,
)
@blp.response(201, UserSchema, headers=LOCATION | REPLAYED, example=UserSchema.example(**COLLEAGUE, is_invited=True))
def invite_user(
    invitation: dict[str, Any], request: IdempotentRequest | None
) -> tuple[Person, HTTPStatus, dict[str, str]]:
    """Invite a person to your organization by email.

    The email contains a token that works only once and expires after seven days. You can invite the same person again
    until they accept. The response is then 200, and the earlier token stops working. The role and name change only if
    you send them. Only owners can invite owners.
    """
    person = services.invite_user(actor=current_actor, request=request, **invitation)
    return person, *_status_and_location(person.id, person.version)


@blp.route("/<uuid:user_id>", methods=["GET"])
@blp.doc(operationId="getUser")
@blp.login_required(Action.MANAGE_PEOPLE)
@blp.if_none_match()
@blp.problems(UserNotFound, OrganizationNotFound, OrganizationRequired)
@blp.arguments(OrganizationQuerySchema, location="query")
@blp.response(200, UserSchema)
def get_user(organization: dict[str, UUID], user_id: UUID) -> Person:
    """Get a person in your organization.

    The person may have no access, or an invitation that is still pending.
    """
    return queries.get_person(current_actor, user_id, **organization)


@blp.route("/<uuid:user_id>", methods=["PATCH"])
@blp.doc(operationId="changeUser")
@blp.login_required(Action.MANAGE_PEOPLE)
@blp.if_match()
@blp.problems(
    UserNotFound, NotAMember, EmailNotVerified, LastOwner, LastOrganizer, OrganizationNotFound, OrganizationRequired
)
@blp.arguments(OrganizationQuerySchema, location="query")
@blp.arguments(UserChangeSchema, example={"role": Role.ORGANIZER.value})
@blp.limited("NOTIFICATION_LIMIT", by=_account_gaining_rights, counts=successes)
@blp.response(200, UserSchema, example=UserSchema.example(role=Role.ORGANIZER.value, email_verified=True, version=3))
def change_user(organization: dict[str, UUID], changes: dict[str, Any], user_id: UUID) -> Person:
    """Change a person's name, role or access.

    If the role or access changes, the person is notified by email, unless they have no password yet. They are also
    logged out on all devices, unless `ORGANIZER_SIGNUP` is `own_organization`. You can change a person's name
    only if they belong to no other organization. A member with an unverified email cannot get a higher role. Only
    owners can change owners.

    The last active owner cannot be demoted or deactivated, unless `ORGANIZER_SIGNUP` is `open` and another active
    organizer remains.
    """
    return services.change_person(
        actor=current_actor, user_id=user_id, changes=changes, precondition=if_match(), **organization
    )


@blp.route("/<uuid:user_id>", methods=["DELETE"])
@blp.doc(operationId="deactivateUser")
@blp.login_required(Action.MANAGE_PEOPLE)
@blp.if_match()
@blp.problems(UserNotFound, LastOwner, LastOrganizer, OrganizationNotFound, OrganizationRequired)
@blp.arguments(OrganizationQuerySchema, location="query")
@blp.response(204)
def deactivate_user(organization: dict[str, UUID], user_id: UUID) -> None:
    """Revoke a person's access.

    The person is logged out on all devices and cannot log in again. If `ORGANIZER_SIGNUP` is `own_organization`, they
    only lose access to your organization. They are notified by email, unless they have no password yet. Their bookings
    and events remain. Their API keys are revoked or taken over by another owner. To restore their access, set
    `is_active` to `true`. The last active owner cannot be deactivated, unless `ORGANIZER_SIGNUP` is
    `open` and another active organizer remains.
    """
    services.remove_access(actor=current_actor, user_id=user_id, precondition=if_match(), **organization)
