"""Cleans text for log lines, headers and calendars, and detects links in it."""

from unicodedata import category, normalize

# Control characters, lone surrogates, and line and paragraph separators
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Soft hyphens and other format characters, variation selectors and combining marks
_INVISIBLE = frozenset({"Cf", "Mn"})
# Invisible letters (Default_Ignorable_Code_Point in Unicode)
_HANGUL_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")


def one_line(text: str) -> str:
    """Replace whitespace, control characters and line breaks of any kind with single spaces."""
    return " ".join("".join(" " if category(c) in _UNPRINTABLE else c for c in text).split())


def has_link(text: str) -> bool:
    """Whether mail programs may show part of the text as a link.

    Ignores invisible characters, and treats fullwidth characters as ordinary ones. Browsers read an ideographic full
    stop as a dot (UTS 46).
    """
    plain = "".join(c for c in normalize("NFKC", text) if category(c) not in _INVISIBLE and c not in _HANGUL_FILLERS)
    plain = plain.replace("\u3002", ".").lower()
    return "://" in plain or "www." in plain
