"""Services for signup, login, logout, email verification, password resets and accepting invitations."""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from psycopg2.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from bookings_api.accounts import queries
from bookings_api.accounts.credentials import lock_verified_account, set_password, verify_email
from bookings_api.accounts.locks import lock_account
from bookings_api.accounts.logins import begin_login, revoke_login, revoke_logins_of, rotate_refresh_token
from bookings_api.accounts.memberships import (
    bump_versions,
    membership_of,
    only_organization,
    roles_of,
    team_member,
    withdraw_invitations,
)
from bookings_api.accounts.one_time_tokens import issue_token, lock_token_owner, revoke_tokens
from bookings_api.accounts.passwords import hash_password, needs_rehash, verify_password
from bookings_api.accounts.profiles import Profile, profile_of
from bookings_api.database.transactions import Transaction, end_reading, transaction
from bookings_api.errors import EmailTaken, InvalidCredentials, InvalidFields, InvalidToken, Unauthenticated
from bookings_api.extensions import db
from bookings_api.idempotency import IdempotentRequest, store_response
from bookings_api.mail import outbox
from bookings_api.models import EmailKind, Event, Login, MemberRole, Membership, Organization, TokenPurpose, User
from bookings_api.permissions import Tenancy


def sign_up(
    *,
    email: str,
    password: str,
    name: str | None = None,
    role: MemberRole = MemberRole.USER,
    organization_name: str | None = None,
    tenancy: Tenancy,
    is_verified: bool = False,
    request: IdempotentRequest | None = None,
) -> Profile:
    """Create an account. Emails a token that verifies the address, unless `is_verified` is true.

    With a single organization, the account becomes a member with this role. Otherwise, an account with any role but
    `USER` becomes the owner of a new organization. The caller must check that the role is allowed. Raises `EmailTaken`
    if an account has this email, ignoring case.
    """
    taken = queries.user_by_email(email) is not None
    end_reading()
    if taken:
        raise EmailTaken
    user = User(email=email, name=name, password_hash=hash_password(password))
    try:
        with transaction() as tx:
            db.session.add(user)
            db.session.flush()
            if is_verified:
                user.email_verified_at = sa.func.now()
            else:
                _send_verification(tx, user)
            _join_organization(user, tenancy, role=role, name=organization_name)
            db.session.flush()
            profile = profile_of(user, roles_of(user.id))
            store_response(request, user.id, profile)
    except IntegrityError as error:
        # The check above only avoids computing a needless hash. The unique index detects concurrent signups.
        if isinstance(error.orig, UniqueViolation):
            raise EmailTaken from error
        raise
    return profile


def _join_organization(user: User, tenancy: Tenancy, *, role: MemberRole, name: str | None) -> None:
    """Add a new account to the only organization, or create an organization for a new organizer."""
    if tenancy.is_single:
        organization_id = only_organization()
    elif role is MemberRole.USER:
        return
    else:
        organization = Organization(name=name or "My organization")
        db.session.add(organization)
        db.session.flush()
        organization_id, role = organization.id, MemberRole.OWNER
    db.session.add(Membership(organization_id=organization_id, user_id=user.id, role=role))


def find_account(email: str) -> UUID | None:
    """Return the ID of the account with this email, or None."""
    found = queries.user_by_email(email)
    return found.id if found else None


def is_password(*, email: str, password: str) -> bool:
    """Whether this is the password of the active account with this email."""
    found = queries.user_by_email(email)
    end_reading()
    return verify_password(found.password_hash if found and found.is_active else None, password)


def log_in(*, email: str, password: str, lifetime: timedelta) -> Login:
    """Verify an email and password, and create a login whose refresh token is valid for `lifetime`.

    Also renews the password hash if the cost parameters have changed. Raises `InvalidCredentials`.
    """
    found = queries.user_by_email(email)
    user_id, password_hash = (found.id, found.password_hash) if found and found.is_active else (None, None)
    end_reading()
    if not verify_password(password_hash, password) or user_id is None or password_hash is None:
        raise InvalidCredentials
    new_hash = hash_password(password) if needs_rehash(password_hash) else None
    with transaction():
        account = lock_verified_account(user_id, password_hash, password)
        if new_hash:
            account.password_hash = new_hash
        return begin_login(user_id, lifetime=lifetime)


def refresh(*, login_id: UUID, jti: UUID, lifetime: timedelta) -> Login:
    """Replace a login's refresh token and return the login. `jti` is the ID of the token that the client sent.

    If the token was already used, revokes the login and raises `Unauthenticated`, because the token may have been
    stolen (RFC 9700, section 4.14.2).
    """
    with transaction():
        login = rotate_refresh_token(login_id, jti, lifetime=lifetime)
        if login is None:
            revoke_login(login_id)
    if login is None:
        raise Unauthenticated("The refresh token was already used or the login has ended. Log in again.")
    return login


def log_out(*, login_id: UUID) -> None:
    with transaction():
        revoke_login(login_id)


def resend_verification(*, user: User) -> None:
    """Email a new verification token to an account with an unverified address. Earlier tokens stop working."""
    with transaction() as tx:
        account = lock_account(user.id)
        if account and not account.email_verified:
            _send_verification(tx, account)


def confirm_email(*, token: str) -> None:
    """Verify the address that a token was sent to.

    For an email change, also replaces the account's address, notifies the previous address, and revokes all of the
    account's tokens, pending invitations and logins, except the login that requested the change. Raises `InvalidToken`,
    or `EmailTaken` if another account has taken the new address in the meantime.
    """
    try:
        with transaction() as tx:
            owner = lock_token_owner(token, TokenPurpose.EMAIL_VERIFICATION, TokenPurpose.EMAIL_CHANGE)
            if owner is None or not owner[0].is_active:
                raise InvalidToken
            user, issued = owner
            if issued.new_email:
                _change_email(tx, user, issued.new_email, login_id=issued.subject_id)
            else:
                verify_email(user)
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation):
            raise EmailTaken from error
        raise


def _change_email(tx: Transaction, user: User, email: str, *, login_id: UUID | None) -> None:
    taken = queries.user_by_email(email)
    if taken and taken.id != user.id:
        raise EmailTaken
    outbox.queue_email(
        tx, kind=EmailKind.EMAIL_CHANGED, recipient=user.email, payload={"name": user.name}, user_id=user.id
    )
    revoke_tokens(user, *TokenPurpose)
    withdraw_invitations(user)
    revoke_logins_of(user, except_for=login_id)
    user.email, user.email_verified_at = email, sa.func.now()
    bump_versions(user)


def _send_verification(tx: Transaction, user: User) -> None:
    token_id = issue_token(user, TokenPurpose.EMAIL_VERIFICATION)
    outbox.queue_email(
        tx,
        kind=EmailKind.EMAIL_VERIFICATION,
        recipient=user.email,
        payload={"name": user.name, "token_id": str(token_id)},
        user_id=user.id,
    )


def request_password_reset(*, email: str) -> None:
    """Queue an email with a password reset token. The email is sent only if an active account has this address.

    The worker looks up the account (see `mail.account_links`), so that the response time does not reveal whether the
    account exists.
    """
    with transaction() as tx:
        outbox.queue_email(tx, kind=EmailKind.PASSWORD_RESET, recipient=email, payload={})


def reset_password(*, token: str, password: str) -> None:
    """Set the password of the token's account, verify its email and revoke its logins. Raises `InvalidToken`."""
    password_hash = hash_password(password)
    with transaction():
        owner = lock_token_owner(token, TokenPurpose.PASSWORD_RESET)
        if owner is None or not owner[0].is_active:
            raise InvalidToken
        user, _ = owner
        set_password(user, password_hash)
        verify_email(user)
        revoke_logins_of(user)


def accept_invitation(*, token: str, password: str | None = None, name: str | None = None, tenancy: Tenancy) -> Profile:
    """Join the organization or team that the invitation is for, and verify the account's address.

    If the address is already verified, the account keeps its password and name. Otherwise a password is required, and
    all logins are revoked, because another person may have signed up with the address. Raises `InvalidToken`, or
    `InvalidFields` if the password is missing.
    """
    password_hash = hash_password(password) if password else None
    with transaction():
        owner = lock_token_owner(token, TokenPurpose.INVITATION)
        if owner is None or not owner[0].is_active:
            raise InvalidToken
        user, invitation = owner
        subject_id = invitation.subject_id
        joined = _join(user, subject_id)
        if joined is None and not _join_team(user.id, subject_id, tenancy):
            raise InvalidToken
        revoke_tokens(user, TokenPurpose.INVITATION, subject_id=subject_id)
        if not user.email_verified:
            if password_hash is None:
                raise InvalidFields({"password": "Choose a password for your account."})
            set_password(user, password_hash)
            revoke_logins_of(user)
            user.name = name or user.name
            verify_email(user)
        else:  # the memberships in other organizations do not change
            user.version += 1
            if joined:
                joined.version += 1
        db.session.flush()
        return profile_of(user, roles_of(user.id))


def _join(user: User, organization_id: UUID | None) -> Membership | None:
    """Accept a pending invitation to an organization. Returns the membership, or None if no invitation is pending.

    Never lowers the member's role.
    """
    membership = membership_of(user.id, organization_id) if organization_id else None
    if membership is None or not membership.is_active or membership.invited_as is None:
        return None
    offered, membership.invited_as = membership.invited_as, None
    if membership.role is None or offered.outranks(membership.role):
        membership.role = offered
    if user.is_invited:
        user.name = membership.invited_name or user.name
    membership.invited_name = None
    return membership


def _join_team(user_id: UUID, event_id: UUID | None, tenancy: Tenancy) -> bool:
    """Accept a pending invitation to an event's team. Returns False if the person may not join.

    With a single organization, a person without a role also becomes a member of the organization.
    """
    event = db.session.get(Event, event_id) if event_id else None
    member = team_member(event.id, user_id) if event else None
    if event is None or event.deleted_at is not None or member is None or member.is_accepted:
        return False
    membership = membership_of(user_id, event.organization_id)
    if membership is not None and not membership.is_active:
        return False
    if tenancy.is_single and membership is not None and membership.role is None:
        membership.role = MemberRole.USER
        if membership.invited_as is MemberRole.USER:
            membership.invited_as = None
    member.is_accepted = True
    member.version += 1
    return True
