"""Finds code that changes the numbers of booked and held tickets."""

import ast
import re

COUNTER = re.compile(r"\btickets_(booked|held)\b")
SETS_COUNTER = re.compile(rf'\bSET\b.*{COUNTER.pattern}[\w\s,)"]*=', re.IGNORECASE | re.DOTALL)


def changes_counters(source: str) -> bool:
    """Whether Python code stores to an attribute, sets a column in a statement, or contains SQL that sets a column."""
    return any(_changes_counter(node) for node in ast.walk(ast.parse(source)))


def _changes_counter(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr=name, ctx=ast.Store()):
            return bool(COUNTER.fullmatch(name))
        case ast.Call(func=ast.Name("setattr"), args=[_, ast.Constant(str(name)), *_]):
            return bool(COUNTER.fullmatch(name))
        case ast.Call(func=ast.Attribute(attr="values" | "with_values")):
            return any(COUNTER.search(column) for column in _columns(node))
        case ast.Constant(str(text)):
            return bool(SETS_COUNTER.search(text))
        case ast.JoinedStr(parts):
            text = "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
            return bool(SETS_COUNTER.search(text))
    return False


def _columns(call: ast.Call) -> list[str]:
    """Return the keywords of a call, and the code of the keys of all dictionaries in its arguments."""
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    keys = [key for one in arguments for part in ast.walk(one) if isinstance(part, ast.Dict) for key in part.keys]
    return [*(keyword.arg for keyword in call.keywords if keyword.arg), *(ast.unparse(key) for key in keys if key)]
