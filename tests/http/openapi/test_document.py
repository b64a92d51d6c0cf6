"""The OpenAPI document and Swagger UI."""

import re

from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.documented import DOCUMENT, OPERATIONS, resolved


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_operation_ids_are_unique() -> None:
    documented = [item[method] for item in DOCUMENT["paths"].values() for method in item if method != "parameters"]

    assert len(OPERATIONS) == len(documented)


def test_every_problem_shares_one_schema_and_lists_its_codes() -> None:
    for name, response in DOCUMENT["components"]["responses"].items():
        schema = response["content"]["application/problem+json"]["schema"]
        status, _, codes = name.partition("-")
        assert schema["$ref"] == "#/components/schemas/Problem"
        assert "-".join(schema["properties"]["code"]["enum"]) == codes
        for example in response["content"]["application/problem+json"]["examples"].values():
            assert resolved(example)["value"]["status"] == int(status)


def test_operations_that_need_a_login_document_it_and_401() -> None:
    booking = OPERATIONS["createBooking"]

    assert booking.doc["security"] == [{"bearer": []}, {"password": []}, {"api_key": []}]
    assert booking.codes(401) == ["unauthenticated"]
    assert "WWW-Authenticate" in booking.responses["401"]["headers"]
    assert "Location" in booking.responses["201"]["headers"]


def test_operations_document_their_business_and_input_errors() -> None:
    booking = OPERATIONS["createBooking"]

    assert booking.codes(409) == [
        "event-not-open",
        "sales-closed",
        "sold-out",
        "waiting-list",
        "too-many-for-person",
        "external-id-taken",
    ]
    assert booking.codes(422) == ["invalid-input", "too-many-tickets", "idempotency-key-reused"]
    assert booking.codes(415) == ["unsupported-media-type"]
    assert booking.codes(503) == ["unavailable"]
    assert OPERATIONS["getBooking"].codes(404) == ["not-found", "booking-not-found"]
    assert OPERATIONS["getBooking"].codes(422) == []
    assert OPERATIONS["token"].codes(400) == ["bad-request", "invalid-credentials"]


def test_every_post_that_creates_something_accepts_an_idempotency_key() -> None:
    creating = {
        name: operation
        for name, operation in OPERATIONS.items()
        if operation.method == "post"
        and any("content" in operation.responses.get(status, {}) for status in ("201", "202"))
    }
    assert creating.keys() == {
        "signup", "inviteUser", "createEvent", "createTicketType", "addTeamMember", "createBooking",
        "resendConfirmation", "createApiKey",
    }  # fmt: skip
    for operation in creating.values():
        assert "Idempotency-Key" in {parameter.get("name") for parameter in operation.doc["parameters"]}
        assert "idempotency-key-reused" in operation.codes(422)
        for status in operation.responses.keys() & {"200", "201", "202"}:
            assert "Idempotency-Replayed" in operation.responses[status]["headers"]


def test_rate_limited_operations_document_429_and_their_headers() -> None:
    limited = {name for name, operation in OPERATIONS.items() if operation.codes(429) == ["too-many-requests"]}
    accepting_keys = {name for name, operation in OPERATIONS.items() if {"api_key": []} in operation.doc["security"]}
    assert limited - accepting_keys == {
        "signup", "login", "token", "requestPasswordReset", "confirmPasswordReset", "acceptInvitation",
        "verifyEmail", "resendVerification", "changeProfile", "deleteAccount", "exportAccount",
        "inviteUser", "changeUser", "changePassword", "addTeamMember", "changeTeamMember", "transferEvent",
    }  # fmt: skip
    assert accepting_keys <= limited
    window_stats = {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}
    assert OPERATIONS["resendConfirmation"].responses["429"]["headers"].keys() == window_stats | {"Retry-After"}
    assert OPERATIONS["resendConfirmation"].responses["202"]["headers"].keys() == window_stats | {
        "Idempotency-Replayed"
    }


def test_the_document_states_the_limits_of_fields() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    assert schemas["Signup"]["properties"]["password"]["minLength"] == 10
    assert schemas["EventCreate"]["properties"]["title"]["maxLength"] == 200
    capacity = schemas["EventCreate"]["properties"]["capacity"]
    assert (capacity["type"], capacity["minimum"], capacity["maximum"]) == ("integer", 1, 1_000_000)
    status = schemas["EventCreate"]["properties"]["status"]
    assert (status["$ref"], status["enum"]) == ("#/components/schemas/EventStatus", ["draft", "published"])
    assert schemas["EventCreate"]["additionalProperties"] is False


def test_operations_that_accept_api_keys_name_the_scope() -> None:
    for operation in OPERATIONS.values():
        scope = operation.doc.get("x-api-key-scope")
        schemes = [name for requirement in operation.doc["security"] for name in requirement]
        assert ("api_key" in schemes) == (scope is not None or {} in operation.doc["security"]), operation.id
        if scope is not None:
            assert f"API keys with the scope `{scope}`" in operation.doc["description"]
            assert "permission-denied" in operation.codes(403)


def test_swagger_ui_can_authorize_by_password_bearer_token_or_api_key() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]

    assert schemes["password"]["flows"]["password"]["tokenUrl"] == "/api/v1/auth/token"
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    assert (schemes["api_key"]["type"], schemes["api_key"]["scheme"]) == ("http", "bearer")


def test_swagger_ui_loads_every_asset_from_its_own_origin(client: FlaskClient) -> None:
    page = client.get("/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert len(addresses) == 5
    for address in addresses:
        assert address.startswith("/static/")
        with client.get(address) as asset:
            assert asset.status_code == 200
    assert "<script>" not in page


def test_the_root_redirects_to_the_documentation(client: FlaskClient) -> None:
    response = client.get("/")

    assert (response.status_code, response.headers["Location"]) == (302, "/docs")


def test_a_redirect_ignores_the_host_header(client: FlaskClient) -> None:
    response = client.post("/api/v1/events?page=2&q=%26", headers={"Host": "evil.example"})

    assert (response.status_code, response.headers["Location"]) == (308, "/api/v1/events/?page=2&q=%26")
    assert "evil" not in response.text


def test_the_document_contains_every_route(app: Flask) -> None:
    routed = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule) for rule in app.url_map.iter_rules()}

    assert {path for path in routed if path.startswith("/api/")} - {"/api/v1/openapi.json"} == DOCUMENT["paths"].keys()
