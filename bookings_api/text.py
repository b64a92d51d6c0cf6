"""Text that is safe to print."""

from unicodedata import category

# Controls, lone surrogates, and the line and paragraph separators
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def one_line(text: str) -> str:
    """Replace control characters and everything that Python or SMTP may treat as a line break by single spaces."""
    return " ".join("".join(" " if category(c) in _UNPRINTABLE else c for c in text).split())
