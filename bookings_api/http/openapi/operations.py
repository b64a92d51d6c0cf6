"""Adds named enums, problems and examples of all bodies to flask-smorest's OpenAPI document."""

import re
from collections import defaultdict
from copy import deepcopy
from enum import StrEnum
from http import HTTPStatus
from inspect import getdoc
from typing import Any

import marshmallow as ma
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter

from bookings_api.http.json import JSON
from bookings_api.http.openapi.problem_examples import EXAMPLES
from bookings_api.http.problems import (
    BAD_REQUEST,
    CONTENT_TOO_LARGE,
    INTERNAL_ERROR,
    INVALID_INPUT,
    PROBLEM_CONTENT_TYPE,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
)
from bookings_api.http.rate_limiting.limits import RATE_LIMIT, RETRY_AFTER
from bookings_api.http.schemas import BaseSchema

# The key under which decorators record the problems of a view.
PROBLEMS = "problems"
# The key under which decorators record the scope that API keys need. Also a member of the OpenAPI operation.
SCOPE = "x-api-key-scope"

_PROBLEM_HEADERS: dict[HTTPStatus, dict[str, Any]] = {
    HTTPStatus.UNAUTHORIZED: {
        "WWW-Authenticate": {"description": "`Bearer` (RFC 6750, section 3).", "schema": {"type": "string"}}
    },
    HTTPStatus.TOO_MANY_REQUESTS: RETRY_AFTER | RATE_LIMIT,
    HTTPStatus.SERVICE_UNAVAILABLE: RETRY_AFTER,
}


def unwrapped(text: str) -> str:
    """Join the lines of each paragraph and list item, because Swagger UI would render the line breaks."""
    return re.sub(r"(?<!\n)\n *(?=[^\s-])", " ", text)


class _Converter(OpenAPIConverter):
    """apispec's converter, with the keywords of JSON Schema 2020-12 that OpenAPI 3.1 uses."""

    def schema2jsonschema(self, schema: ma.Schema) -> dict[str, Any]:
        """Convert a schema. The first paragraph of its docstring becomes the description."""
        about, _, _ = (getdoc(type(schema)) or "").partition("\n\n")
        return {"description": unwrapped(about), **super().schema2jsonschema(schema)}  # type: ignore[no-untyped-call] # untyped in apispec

    def field2property(self, field: ma.fields.Field[Any]) -> dict[str, Any]:
        """Convert a field. Enums become named schemas or, with one value, `const`. `example` becomes `examples`."""
        found: dict[str, Any] = super().field2property(field)
        if "example" in found:
            found["examples"] = [found.pop("example")]
        if names := field.metadata.get("propertyNames"):
            found["propertyNames"] = names
        if len(found.get("enum", [])) == 1:
            [found["const"]] = found.pop("enum")
        enumeration = getattr(field, "enum", None) or getattr(field, "enumeration", None)
        return found if enumeration is None else self._named(enumeration, found)

    def _named(self, enumeration: type[StrEnum], found: dict[str, Any]) -> dict[str, Any]:
        name, values = enumeration.__name__, [member.value for member in enumeration]
        if name not in self.spec.components.schemas:
            about = unwrapped(getdoc(enumeration) or "")
            self.spec.components.schema(name, {"description": about, "type": "string", "enum": values})
        reference = {"$ref": f"#/components/schemas/{name}"}
        found.pop("type")
        if None in found["enum"]:
            del found["enum"]
            return {"anyOf": [reference, {"type": "null"}], **found}
        if found["enum"] == values:
            del found["enum"]  # needed only if the field does not allow all members
        return {**reference, **found}


class DocumentPlugin(MarshmallowPlugin):
    """apispec's marshmallow plugin with `_Converter`."""

    Converter = _Converter


def document_operation(doc: dict[str, Any], doc_info: dict[str, Any], *, spec: APISpec, **_: Any) -> dict[str, Any]:
    """Add problems, examples and headers to the documentation of an operation. flask-smorest calls this function."""
    texts = doc_info["docstring"]
    texts["description"] = unwrapped(texts.get("description", ""))
    if scope := doc_info.get("manual_doc", {}).get(SCOPE):
        texts["description"] += f"\n\nAlso accepts API keys with the scope `{scope}`."
    problems: list[Problem] = [*_parser_problems(doc), *doc_info.get(PROBLEMS, []), INTERNAL_ERROR, UNAVAILABLE]
    responses = doc["responses"]
    responses.pop(INVALID_INPUT.status.value, None)  # flask-smorest adds a response without content
    if TOO_MANY_REQUESTS in problems:
        for status in doc_info["success_status_codes"]:
            responses[status]["headers"] = responses[status].get("headers", {}) | RATE_LIMIT
    for media in [doc.get("requestBody", {}), *responses.values()]:
        _add_examples(media.get("content", {}))
    for response in responses.values():
        if "content" in response:  # JSON first, because generated clients use the first media type
            response["content"] = dict(sorted(response["content"].items(), key=lambda media: media[0] != JSON))
        if "headers" in response:
            response["headers"] = _shared_headers(spec, response["headers"])
    doc["responses"] = responses | _problem_responses(spec, problems)
    return doc


def _parser_problems(doc: dict[str, Any]) -> list[Problem]:
    """Return the problems that parsing a request can cause."""
    if "requestBody" in doc:
        return [BAD_REQUEST, CONTENT_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID_INPUT]
    return [BAD_REQUEST, INVALID_INPUT] if doc.get("parameters") else []


def _add_examples(content: dict[str, Any]) -> None:
    """Add an example built from the fields' examples, unless the route defines an example."""
    for media in content.values():
        schema = media.get("schema")
        if isinstance(schema, BaseSchema) and not media.keys() & {"example", "examples"}:
            media["example"] = [schema.example()] if schema.many else schema.example()


def _shared_headers(spec: APISpec, headers: dict[str, Any]) -> dict[str, str]:
    """Move header definitions to the shared components, and return references to them."""
    for name, header in headers.items():
        if name not in spec.components.headers:
            spec.components.header(name, deepcopy(header))
    return {name: name for name in headers}


def _problem_responses(spec: APISpec, problems: list[Problem]) -> dict[int, str]:
    """Map each status to the name of a response component. Operations with the same problems share a component."""
    by_status: dict[HTTPStatus, list[Problem]] = defaultdict(list)
    for problem in dict.fromkeys(problems):
        by_status[problem.status].append(problem)
    return {status.value: _problem_response(spec, status, by_status[status]) for status in sorted(by_status)}


def _problem_response(spec: APISpec, status: HTTPStatus, problems: list[Problem]) -> str:
    codes = [problem.code for problem in problems]
    name = "-".join([str(status.value), *codes])
    if name not in spec.components.responses:
        response = {
            "description": "; ".join(f"{problem.title} (`{problem.code}`)" for problem in problems),
            "content": {
                PROBLEM_CONTENT_TYPE: {
                    # gives generated clients a single Problem class, and validators the possible codes
                    "schema": {
                        "$ref": "#/components/schemas/Problem",
                        "properties": {"code": {"enum": codes}},
                    },
                    "examples": {problem.code: _problem_example(spec, problem) for problem in problems},
                }
            },
        }
        if headers := _PROBLEM_HEADERS.get(status):
            response["headers"] = _shared_headers(spec, headers)
        spec.components.response(name, response)
    return name


def _problem_example(spec: APISpec, problem: Problem) -> str:
    name = f"{problem.status.value}-{problem.code}"
    if name not in spec.components.examples:
        spec.components.example(name, {"summary": problem.title, "value": EXAMPLES[problem]})
    return name
