"""Errors that concern accounts, logins, organizations and API keys."""

from bookings_api.errors.base import DomainError


class Unauthenticated(DomainError):
    """The request has no valid token."""


class LoginEnded(Unauthenticated):
    """The login has ended, for example because the user logged out, changed the password or lost access."""

    message = "This login has ended. Please log in again."


class InvalidApiKey(Unauthenticated):
    message = "The API key is unknown, expired or revoked."


class InvalidCredentials(Unauthenticated):
    """The email or the password is incorrect. The message does not say which."""

    message = "The email or the password is incorrect."


class InvalidGrant(InvalidCredentials):
    """Invalid credentials in an OAuth 2.0 password grant. Includes the members required by RFC 6749, section 5.2."""

    def __init__(self) -> None:
        super().__init__(error="invalid_grant", error_description=self.message)


class OrganizationNotFound(DomainError):
    message = "The organization does not exist or is not visible to you."


class OrganizationRequired(DomainError):
    message = "You belong to several organizations. Choose one with organization_id."


class UserNotFound(DomainError):
    message = "The account does not exist."


class ApiKeyNotFound(DomainError):
    message = "The API key does not exist or is revoked."


class InvalidToken(DomainError):
    message = "The token is invalid, was already used, or has expired. Request a new one."


class WrongPassword(DomainError):
    message = "The current password is incorrect."


class EmailTaken(DomainError):
    message = "An account with this email already exists."


class NotAMember(DomainError):
    message = "This person is not a member of your organization. Invite them instead."


class AccessRevoked(DomainError):
    message = "Your organization has revoked this person's access. Restore it first."


class NotAnOrganizer(DomainError):
    message = "This person is not an active organizer of the organization. Make them an organizer first."


class EmailNotVerified(DomainError):
    message = "The email of this account is not verified. Invite the person instead."


class LastOwner(DomainError):
    """An owner cannot lose their role or access, because the organization has no other active owner."""

    message = "This is the last active owner of the organization. Make another member an owner first."


class LastOrganizer(DomainError):
    """An organizer cannot lose their role or access, because the organization has no other active organizer.

    Raised instead of `LastOwner` if `ORGANIZER_SIGNUP` is `open`.
    """

    message = "This is the last active organizer. Make another account an organizer first."


class BookingsOpen(DomainError):
    message = "You have upcoming bookings. Cancel them first, or set cancel_bookings to true."


class ResponsibleForEvents(DomainError):
    message = "You organize events that have not ended. Cancel, delete or transfer these events first."
