"""Makes text safe for log lines, headers and calendars."""

from unicodedata import category

# Control characters, lone surrogates, and line and paragraph separators
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def one_line(text: str) -> str:
    """Replace whitespace, control characters and line breaks of any kind with single spaces."""
    return " ".join("".join(" " if category(c) in _UNPRINTABLE else c for c in text).split())
