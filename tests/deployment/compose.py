"""`compose.yaml` as compose reads it: merged, with the values of `.env` filled in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bookings_api.local_stack.processes import ROOT

FILE = ROOT / "compose.yaml"
# What `.env` must say.
SECRETS = {"SECRET_KEY": "a secret of the test run, long enough for everybody", "POSTGRES_PASSWORD": "letters4digits"}

# https://docs.docker.com/reference/compose-file/interpolation/
_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?P<kind>:[-?])(?P<rest>[^}]*)\})")


class Unset(Exception):
    """A variable that must be set is not."""


def services(variables: Mapping[str, str] = SECRETS, file: Path = FILE) -> dict[str, Any]:
    """The services by their names. Raises `Unset`, with the file's own words, for a variable that is required."""
    read: dict[str, Any] = _interpolated(yaml.safe_load(file.read_text()), variables)["services"]
    return read


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
