"""Cleans text for log lines, headers, emails and calendars. Detects and disables links in text."""

import re
from collections.abc import Collection, Mapping
from typing import Any
from unicodedata import category, normalize

# Control characters, lone surrogates, and line and paragraph separators
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Soft hyphens and other format characters, variation selectors and combining marks
_INVISIBLE = frozenset({"Cf", "Mn"})
# Invisible letters (Default_Ignorable_Code_Point in Unicode)
_HANGUL_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")

# Dots between letters, the three other characters that browsers read as dots (UTS 46), and :// after a scheme. The
# domain of an email address matches as a whole.
_IN_LINK = re.compile(r"""(?<=[\w+-])@[\w.-]+|(?<=[^\s.])[.\u3002\uff0e\uff61](?=[^\s\d.,;:!?)\]}"'])|(?=://)""")
# A visible space, because Android and other programs treat invisible characters, such as word joiners, as letters of a
# domain.
_HAIR_SPACE = "\u200a"


def one_line(text: str) -> str:
    """Replace each sequence of whitespace, line breaks and control characters with a single space."""
    return " ".join("".join(" " if category(c) in _UNPRINTABLE else c for c in text).split())


def has_link(text: str) -> bool:
    """Whether the text contains `://` or `www.`, which may cause mail programs to show part of the text as a link.

    Ignores case and invisible characters, and treats fullwidth characters as ASCII. Treats an ideographic full stop as
    a dot, as browsers do (UTS 46).
    """
    plain = "".join(c for c in normalize("NFKC", text) if category(c) not in _INVISIBLE and c not in _HANGUL_FILLERS)
    plain = plain.replace("\u3002", ".").lower()
    return "://" in plain or "www." in plain


def without_links(text: str) -> str:
    """Insert hair spaces so that mail programs do not turn text like `example.com` into links.

    Email addresses are unchanged.
    """
    return _IN_LINK.sub(lambda found: found[0] if "@" in found[0] else _HAIR_SPACE + found[0], text)


def without_links_in(payload: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return a copy of `payload` with `without_links` applied to the values whose names are in `names`."""
    return {**payload, **{name: without_links(payload[name]) for name in names if payload.get(name)}}
