"""The base class of domain errors, and errors that concern any resource."""

from collections.abc import Mapping


class DomainError(Exception):
    """Base class of all domain errors. `extensions` are machine-readable details."""

    message: str  # the default message; not set in classes whose message always depends on the situation

    def __init__(self, message: str | None = None, **extensions: object) -> None:
        super().__init__(message or self.message)
        self.extensions = extensions


class PermissionDenied(DomainError):
    """The actor lacks the required role, scope or ownership."""


class InvalidFields(DomainError):
    """Fields match the schema but are not valid in this request, for example because they contradict stored values.

    `fields` maps the names of the invalid fields to messages.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {message}" for name, message in fields.items()))
        self.fields = fields


class StaleVersion(DomainError):
    message = "The resource has changed since you read it. Fetch it again and retry."


class IdempotencyKeyReused(DomainError):
    message = "This idempotency key was already used for a different request. Choose a new key."
