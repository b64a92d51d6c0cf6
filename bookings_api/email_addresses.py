"""Validates new email addresses, and lists the spellings of an address that belong to the same account."""

import unicodedata
from collections.abc import Collection

from email_validator import EmailNotValidError, validate_email

from bookings_api.text import has_link

# The local part of an intranet address is checked as if it belonged to this domain.
_PUBLIC_DOMAIN = "example.com"


def checked_address(text: str, *, intranet_domains: Collection[str]) -> str:
    """Validate a new address and return it with its domain lowercased and IDNA-encoded. Raises `ValueError`.

    The local part must be ASCII. The domain must be public or one of `intranet_domains`.
    """
    text = text.strip()
    local, _, domain = text.rpartition("@")
    is_intranet = domain.lower() in intranet_domains
    checked = validate_email(  # strict: local part of at most 64 octets (RFC 5321, section 4.5.3.1.1)
        f"{local}@{_PUBLIC_DOMAIN}" if is_intranet else text,
        check_deliverability=False,
        allow_smtputf8=False,
        strict=True,
    )
    if "=?" in checked.local_part:  # RFC 2047: mail programs might decode it into another address
        raise ValueError("Must not contain =? before the @ sign.")
    if has_link(checked.local_part):
        raise ValueError("Must not contain www. before the @ sign.")
    return f"{checked.local_part}@{domain.lower() if is_intranet else checked.ascii_domain}"


def spellings(address: str) -> tuple[str, str, str]:
    """Return the address unchanged, with its domain IDNA-encoded, and with its domain in Unicode.

    Older accounts may be stored in either form, and their local part may be one that `checked_address` rejects.
    """
    local, at, domain = unicodedata.normalize("NFC", address).rpartition("@")
    try:
        checked = validate_email(f"any@{domain}", check_deliverability=False)
    except EmailNotValidError:
        encoded, decoded = domain, domain
    else:
        encoded, decoded = checked.ascii_domain, checked.domain
    return address, f"{local}{at}{encoded}", f"{local}{at}{decoded}"


def encoded_address(address: str) -> str:
    """Return the address with its domain IDNA-encoded, if possible."""
    return spellings(address)[1]
