"""Reads compose.yaml like Docker Compose: YAML merges and variables from `.env` are resolved."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bookings_api.local_stack.processes import ROOT

FILE = ROOT / "compose.yaml"
# Required in `.env`.
SECRETS = {
    "SECRET_KEY": "a secret of the test run, long enough for every algorithm",
    "POSTGRES_PASSWORD": "letters4digits",
}

# https://docs.docker.com/reference/compose-file/interpolation/
_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?P<kind>:[-?])(?P<rest>[^}]*)\})")


class Unset(Exception):
    """A required variable is not set."""


def services(variables: Mapping[str, str] = SECRETS, file: Path = FILE) -> dict[str, Any]:
    """The services by name. Raises `Unset` with the file's message for a missing required variable."""
    found: dict[str, Any] = _interpolated(yaml.safe_load(file.read_text()), variables)["services"]
    return found


def _interpolated(node: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _interpolated(value, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [_interpolated(value, variables) for value in node]
    if not isinstance(node, str):
        return node

    def value_of(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        value = variables.get(found["name"])
        if not value and found["kind"] == ":?":
            raise Unset(f"{found['name']}: {found['rest']}")
        return value or found["rest"]

    return _VARIABLE.sub(value_of, node)
