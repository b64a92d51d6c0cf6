"""Validates new email addresses, and lists the spellings in which an older account's address may be stored."""

import unicodedata
from collections.abc import Collection

from email_validator import EmailNotValidError, validate_email

from bookings_api.text import has_link

# Intranet addresses are validated with this domain instead of their own, which the validator would reject.
_PUBLIC_DOMAIN = "example.com"


def checked_address(text: str, *, intranet_domains: Collection[str]) -> str:
    """Validate a new address and return it with its domain lowercased and IDNA-encoded.

    The domain must be public or in `intranet_domains`. The local part must be ASCII and must not contain an encoded
    word or a link. Raises `ValueError` if the address is invalid.
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
    """Return three spellings of an address: unchanged, with an IDNA-encoded domain, and with a Unicode domain.

    The addresses of older accounts may be stored in any of these forms. The local part is not validated, because some
    older accounts have local parts that `checked_address` rejects.
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
    """Return the address with its domain IDNA-encoded, or unchanged if the domain is invalid."""
    return spellings(address)[1]
