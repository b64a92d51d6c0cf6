"""The committed OpenAPI document, and a test client that checks every response against it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from werkzeug.test import TestResponse

from bookings_api.http.problems import PROBLEM_CONTENT_TYPE
from bookings_api.http.rate_limiting.limits import RATE_LIMIT

FILE = Path(__file__).parents[1] / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text())

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One operation of the document, with its `$ref`s to responses resolved."""

    method: str
    path: str
    doc: Mapping[str, Any]

    @property
    def id(self) -> str:
        name: str = self.doc["operationId"]
        return name

    @cached_property
    def responses(self) -> Mapping[str, Mapping[str, Any]]:
        """The documented responses by status code."""
        return {status: resolved(response) for status, response in self.doc["responses"].items()}

    def codes(self, status: int) -> list[str]:
        """The documented problem codes for this status."""
        content = self.responses.get(str(status), {}).get("content", {})
        if PROBLEM_CONTENT_TYPE not in content:
            return []
        found: list[str] = content[PROBLEM_CONTENT_TYPE]["schema"]["properties"]["code"]["enum"]
        return found

    def is_for(self, method: str, path: str) -> bool:
        """Whether this operation handles such a request."""
        method = "GET" if method == "HEAD" else method
        return method == self.method.upper() and bool(self._pattern.fullmatch(path))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{\w+\}", "[^/]+", self.path))


def resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow `$ref`s in a part of the document."""
    found: Any = part
    while "$ref" in found:
        names = found["$ref"].removeprefix("#/").split("/")
        found = DOCUMENT
        for name in names:
            found = found[name]
    return found  # type: ignore[no-any-return] # any part of the document


def _operations() -> Iterator[Operation]:
    for path, item in DOCUMENT["paths"].items():
        yield from (Operation(method, path, item[method]) for method in _METHODS if method in item)


OPERATIONS = {operation.id: operation for operation in _operations()}
# Fixed paths such as /events/all come before paths with parameters.
_BY_ADDRESS = sorted(OPERATIONS.values(), key=lambda operation: "{" in operation.path)


def validate(value: Any, schema: Mapping[str, Any]) -> None:
    """Fail unless `value` conforms to a schema of the document, including formats."""
    validator = OAS31Validator({**schema, "components": DOCUMENT["components"]}, format_checker=oas31_format_checker)
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)] == []


# Excludes rate limit headers: a test that uses one context for all requests also gets them on later responses.
_KNOWN_HEADERS = DOCUMENT["components"]["headers"].keys() - RATE_LIMIT.keys()


class DocumentedClient(FlaskClient):
    """A test client that fails for undocumented responses.

    It checks status codes, problem codes, and the headers of successful responses.
    """

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        method, path = response.request.method, response.request.path
        operation = next((operation for operation in _BY_ADDRESS if operation.is_for(method, path)), None)
        if operation is not None:
            assert str(response.status_code) in operation.responses, f"{operation.id} returned {response.status}"
            if response.mimetype == PROBLEM_CONTENT_TYPE and method != "HEAD":
                code = response.get_json()["code"]
                documented = operation.codes(response.status_code)
                assert code in documented, f"{operation.id} returned {code}, but documents {documented}"
            if response.status_code < HTTPStatus.BAD_REQUEST:
                sent = {name for name in _KNOWN_HEADERS if name in response.headers}
                undocumented = sent - operation.responses[str(response.status_code)].get("headers", {}).keys()
                assert not undocumented, (
                    f"{operation.id} sent the undocumented headers {undocumented} with {response.status}"
                )
        return response
