"""The OpenAPI document and the page that shows it."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    response = client.get("/api/v1/openapi.json")
    assert response.status_code == 200
    found = response.json
    assert isinstance(found, dict)
    return found


def _operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_has_an_id_a_summary_a_tag_and_its_security(document: dict[str, Any]) -> None:
    operations = _operations(document)

    assert len({operation["operationId"] for operation in operations.values()}) == len(operations) == 34
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["tags"], name
        assert "security" in operation, name


def test_every_error_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    for name, operation in _operations(document).items():
        for status, answer in operation["responses"].items():
            response = answer
            if "$ref" in answer:
                response = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            if not status.startswith(("2", "3")):
                schemas = {kind: content["schema"] for kind, content in response["content"].items()}
                assert schemas == {"application/problem+json": {"$ref": "#/components/schemas/Problem"}}, (name, status)


def test_an_operation_that_needs_a_login_says_so_and_documents_the_401(document: dict[str, Any]) -> None:
    booking = _operations(document)["post /api/v1/bookings/"]

    assert booking["security"] == [{"bearer": []}, {"password": []}]
    assert {"201", "401", "404", "409", "422"} <= booking["responses"].keys()
    assert "`sold-out`" in booking["responses"]["409"]["description"]
    assert "`invalid-input`, `too-many-tickets`" in booking["responses"]["422"]["description"]
    assert "Location" in booking["responses"]["201"]["headers"]


def test_an_operation_with_a_limit_documents_the_429_and_when_to_come_back(document: dict[str, Any]) -> None:
    limited = {
        name.removeprefix("post /api/v1")
        for name, operation in _operations(document).items()
        if "429" in operation["responses"]
    }
    assert limited == {
        "/auth/signup", "/auth/login", "/auth/token", "/auth/password-reset", "/auth/password-reset/confirm",
        "/auth/invitations/accept", "/users/", "/users/me/password", "/bookings/", "/bookings/{booking_id}/emails",
        "/events/",
        "patch /api/v1/bookings/{booking_id}", "patch /api/v1/events/{event_id}", "patch /api/v1/users/{user_id}",
    }  # fmt: skip
    refusal = _operations(document)["post /api/v1/bookings/{booking_id}/emails"]["responses"]["429"]
    assert refusal["description"] == "Too Many Requests: `too-many-requests`"
    assert refusal["headers"].keys() == {
        "Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"
    }  # fmt: skip


def test_limits_of_fields_stand_in_the_document(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    assert schemas["Signup"]["properties"]["password"]["minLength"] == 10
    assert schemas["EventCreate"]["properties"]["title"]["maxLength"] == 200
    capacity = schemas["EventCreate"]["properties"]["capacity"]
    assert (capacity["type"], capacity["minimum"], capacity["maximum"]) == ("integer", 1, 1_000_000)
    assert schemas["EventCreate"]["properties"]["status"]["enum"] == ["draft", "published"]
    assert schemas["EventCreate"]["additionalProperties"] is False


def test_authorize_knows_the_password_form_and_the_bearer_token(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]

    assert schemes["password"]["flows"]["password"]["tokenUrl"] == "/api/v1/auth/token"
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")


def test_swagger_ui_takes_every_asset_from_our_own_origin(client: FlaskClient) -> None:
    page = client.get("/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert len(addresses) == 5
    for address in addresses:
        assert address.startswith("/static/")
        with client.get(address) as asset:
            assert asset.status_code == 200
    assert "<script>" not in page


def test_the_root_leads_to_the_documentation(client: FlaskClient) -> None:
    response = client.get("/")

    assert (response.status_code, response.headers["Location"]) == (302, "/docs")


def test_a_redirect_stays_on_the_host_that_the_client_has_reached_whatever_it_names(client: FlaskClient) -> None:
    response = client.post("/api/v1/events?page=2&q=%26", headers={"Host": "evil.example"})

    assert (response.status_code, response.headers["Location"]) == (308, "/api/v1/events/?page=2&q=%26")
    assert "evil" not in response.text


def test_every_route_of_the_api_stands_in_the_document(app: Flask, document: dict[str, Any]) -> None:
    routed = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule) for rule in app.url_map.iter_rules()}

    assert {path for path in routed if path.startswith("/api/")} - {"/api/v1/openapi.json"} == document["paths"].keys()
