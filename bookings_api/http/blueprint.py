"""The blueprint class that all features use. Its decorators also write the OpenAPI documentation."""

import re
from collections.abc import Callable
from copy import deepcopy
from functools import partial, wraps
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

import flask
import flask_smorest
import marshmallow as ma
from flask_smorest.pagination import PaginationParameters
from flask_smorest.utils import unpack_tuple_response
from werkzeug.exceptions import HTTPException
from werkzeug.http import quote_etag

from bookings_api.errors import DomainError, IdempotencyKeyReused, PermissionDenied, StaleVersion, Unauthenticated
from bookings_api.http import authentication, csv
from bookings_api.http.conditional import ETAG, IF_MATCH, IF_NONE_MATCH, etag_of, is_not_modified
from bookings_api.http.cursors import fetch_after
from bookings_api.http.files import CALENDAR_FILE
from bookings_api.http.idempotency import IdempotencyKeySchema, with_replays
from bookings_api.http.json import JSON, json_response
from bookings_api.http.openapi.operations import SCOPE, document_operation
from bookings_api.http.openapi.views import documented_by, with_problems
from bookings_api.http.pagination import PAGINATION, fetch_page, page_headers
from bookings_api.http.parser import StrictParser
from bookings_api.http.problems import (
    DOMAIN_PROBLEMS,
    HTTP_VERSION_NOT_SUPPORTED,
    NOT_FOUND,
    TOO_MANY_REQUESTS,
)
from bookings_api.http.rate_limiting.limits import Counted, Key, attempts, by_key, limit, uncount
from bookings_api.http.retrying import retried
from bookings_api.http.schemas import BaseSchema, PageQuerySchema, ResponseSchema
from bookings_api.permissions import Action, scope_for

LOCATION = {"Location": {"description": "The URL of the new resource.", "schema": {"type": "string"}}}

View = TypeVar("View", bound=Callable[..., Any])

# Path parameters in a routing rule.
_IN_PATH = re.compile(r"<(?:\w+:)?(\w+)>")

# The OpenAPI security schemes for access tokens, and the scheme for API keys
_BEARER: list[dict[str, list[str]]] = [{"bearer": []}, {"password": []}]
_API_KEY: dict[str, list[str]] = {"api_key": []}


class Blueprint(flask_smorest.Blueprint):
    """flask-smorest's blueprint with decorators for authentication, rate limits, problems, lists and more.

    The order of the decorators, from the top: `doc`, `login_required`, `limited`, `if_match` or `if_none_match`,
    `problems`, `arguments` or `listing`, `idempotent`, `response`. If a rate limit depends on the request's body, apply
    `limited` below `arguments`, which parses the body.
    """

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(document_operation)

    def doc(self, **documentation: Any) -> Callable[[View], View]:
        return partial(documented_by, super().doc(**documentation))

    def alt_response(self, *args: Any, **kwargs: Any) -> Callable[[View], View]:
        return partial(documented_by, super().alt_response(*args, **kwargs))

    def arguments(self, schema: type[ma.Schema], *, location: str = "json", **options: Any) -> Callable[[View], View]:
        """Parse the request's `location`, and append the result to the view's positional arguments."""
        parsed = schema()
        document = super().arguments(parsed, location=location, **options)

        def decorate(view: View) -> View:
            @wraps(view)
            def parsing(*args: Any, **kwargs: Any) -> Any:
                return view(*args, self.ARGUMENTS_PARSER.load(parsed, location), **kwargs)

            return documented_by(document, parsing)

        return decorate

    def add_url_rule(
        self, rule: str, endpoint: str | None = None, view_func: Callable[..., Any] | None = None, **options: Any
    ) -> None:
        """Register a view, document its path parameters, and retry it after conflicts between transactions."""
        view = retried(view_func) if view_func else None
        names = _IN_PATH.findall(rule)
        if view and names:
            view = with_problems(NOT_FOUND)(view)
            options["parameters"] = [
                {"in": "path", "name": name, "description": f"The ID of the {name.removesuffix('_id')}."}
                for name in names
            ]
        super().add_url_rule(rule, endpoint, view, **options)

    def login_required(self, action: Action | None = None, *, with_key: Action | None = None) -> Callable[[View], View]:
        """Require an access token, or an API key that may perform `with_key`. Without `with_key`, refuse API keys.

        With `action`, also require that an account may perform `action` in at least one organization.
        """
        check = partial(authentication.require_actor, action, with_key=with_key)
        return self._guarded(check, PermissionDenied, with_key=with_key)

    def token_required(self, *, with_key: Action) -> Callable[[View], View]:
        """Require an access token or API key. The service checks the login or key in a query that it runs anyway.

        The service must raise `Unauthenticated` before any other error, and `PermissionDenied` for a key that may not
        perform `with_key`. Requests with an ended login or an invalid key do not count towards any limit.
        """

        def decorate(view: View) -> View:
            @wraps(view)
            def checked(*args: Any, **kwargs: Any) -> Any:
                try:
                    try:
                        return view(*args, **kwargs)
                    except HTTPException:  # raised before the service checked the login
                        # raises Unauthenticated instead, if the login has ended
                        authentication.require_login(with_key=with_key)
                        raise
                except Unauthenticated:
                    authentication.forget_actor()
                    uncount()
                    raise

            return self._guarded(authentication.require_token, PermissionDenied, with_key=with_key)(checked)  # type: ignore[return-value] # as below

        return decorate

    def login_optional(self) -> Callable[[View], View]:
        """Allow anonymous requests and any valid access token or API key. Refuse invalid tokens."""
        return self._guarded(authentication.allow_anonymous, security=[{}, *_BEARER, _API_KEY])

    def public(self) -> Callable[[View], View]:
        """Document that the operation needs no token."""
        return self.doc(security=[])

    def limited(self, setting: str, *, by: Key, counts: Counted = attempts) -> Callable[[View], View]:
        """Apply the rate limit configured by `setting`, separately for each key that `by` returns. See `limit`."""
        enforced = limit(setting, by=by, counts=counts)
        return lambda view: with_problems(TOO_MANY_REQUESTS)(enforced(view))

    def response(
        self,
        status_code: int,
        schema: type[BaseSchema] | BaseSchema | None = None,
        *,
        headers: dict[str, Any] | None = None,
        **options: Any,
    ) -> Callable[[View], View]:
        """Serialize the view's result with `schema`. If `schema` has a version, support `ETag` and `If-None-Match`.

        `headers` documents additional headers. `example` replaces the example that is built from the fields' examples.
        """
        schema = schema() if isinstance(schema, type) else schema
        is_versioned = schema is not None and "version" in schema.fields
        documented = (ETAG if is_versioned else {}) | (headers or {})
        document = super().response(status_code, schema, headers=documented or None, **options)

        def decorate(view: View) -> View:
            @wraps(view)
            def responding(*args: Any, **kwargs: Any) -> flask.Response:
                result, status, headers = unpack_tuple_response(view(*args, **kwargs))
                if isinstance(result, flask.Response):
                    return result
                headers = headers or {}
                if is_versioned:
                    etag = etag_of(result)
                    headers["ETag"] = quote_etag(etag)
                    if is_not_modified(etag):
                        return flask.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers, mimetype=JSON)
                if schema is not None:
                    return json_response(schema.dump(result), status or status_code, headers)
                response = flask.Response(status=status_code, headers=headers)
                del response.headers["Content-Type"]
                return response

            return documented_by(document, responding)

        return decorate

    def if_match(self) -> Callable[[View], View]:
        """Document the header `If-Match`. The view passes `http.conditional.if_match()` to its service."""
        documented = self.doc(parameters=[IF_MATCH])
        return lambda view: documented(self.problems(StaleVersion)(view))

    def if_none_match(self) -> Callable[[View], View]:
        """Document the header `If-None-Match`."""
        documented = self.doc(parameters=[IF_NONE_MATCH])
        unchanged = self.alt_response(304, description="Not modified. Your cached copy is current.", headers=ETAG)
        return lambda view: documented(unchanged(view))

    def problems(self, *raised: type[DomainError]) -> Callable[[View], View]:
        """Document the domain errors that an operation can raise."""
        return with_problems(*(DOMAIN_PROBLEMS[error] for error in raised))

    def idempotent(
        self,
        schema: type[ResponseSchema],
        *,
        replay: Callable[[dict[str, Any]], tuple[HTTPStatus, dict[str, str]]],
        actor_id: Callable[..., UUID | None] = lambda *_: UUID(authentication.current_actor_id()),
        may_replay: Callable[..., bool] = lambda *_: True,
    ) -> Callable[[View], View]:
        """Accept an `Idempotency-Key`, and replay the stored response to an earlier request with the same key.

        Apply this decorator below `arguments`, and above limits that do not apply to replays. The view passes its
        argument `request` to its service, which stores the response.

        `replay` gets the stored body and returns the status and headers. `actor_id` and `may_replay` get the request's
        body. `actor_id` returns the ID of the account or API key. `may_replay` returns whether a replay is allowed.
        """
        keyed = self.arguments(IdempotencyKeySchema, location="headers")
        dump = schema().dump
        refused = self.problems(IdempotencyKeyReused)
        replaying = partial(with_replays, response_to=dump, replay=replay, actor_id=actor_id, may_replay=may_replay)
        return lambda view: keyed(refused(replaying(view)))

    def calendar(self, *, example: str) -> Callable[[View], View]:
        """Document a view that returns `http.files.calendar_file(...)`."""
        return self.alt_response(HTTPStatus.OK.value, **CALENDAR_FILE, example=example, success=True)

    def listing(
        self,
        query_schema: type[PageQuerySchema],
        item_schema: type[ResponseSchema],
        *,
        csv_file: csv.CsvFile | None = None,
    ) -> Callable[[View], View]:
        """Serve a list in pages and, with `csv_file`, also as a CSV file.

        The view gets the filters as keyword arguments and returns a `Listing`.
        """
        parsed, items = query_schema(), item_schema(many=True)
        ok = HTTPStatus.OK.value
        document = super().response(ok, items, description=csv.ALSO_CSV if csv_file else None)

        def decorate(view: View) -> View:
            @wraps(view)
            def page_of_view(**kwargs: Any) -> flask.Response:
                filters = self.ARGUMENTS_PARSER.load(parsed, "query")
                page = PaginationParameters(filters.pop("page", 1), filters.pop("page_size"))
                after, separator = filters.pop("after", None), filters.pop("separator", None)
                listing, varying = view(**kwargs, **filters), {"Vary": "Accept"} if csv_file else {}
                if csv_file and csv.is_preferred():
                    response = csv.csv_file(listing.with_values(), items, csv_file, separator, **kwargs)
                    response.headers.update(varying)
                    return response
                if after is None:
                    rows, headers = fetch_page(listing, items, page), page_headers(page)
                else:
                    rows, headers = fetch_after(listing, items, after, page.page_size)
                if not rows:
                    authentication.require_login()  # if the login has ended, the list is empty
                return json_response(rows, ok, headers | varying)

            documented = documented_by(document, page_of_view)
            documented._apidoc["pagination"] = {  # noqa: SLF001 - where flask-smorest stores it
                "parameters": {"in": "query", "schema": query_schema},
                "response": {HTTPStatus.UNPROCESSABLE_ENTITY.value: HTTPStatus.UNPROCESSABLE_ENTITY.name},
            }
            if csv_file is None:
                return documented
            documented = self.alt_response(ok, **csv.CSV_FILE, example=csv.example(items))(documented)
            return with_problems(HTTP_VERSION_NOT_SUPPORTED)(documented)

        return decorate

    def _document_pagination_metadata(self, spec: Any, resp_doc: dict[str, Any]) -> None:
        resp_doc["headers"] = resp_doc.get("headers", {}) | deepcopy(PAGINATION)

    def _guarded(
        self,
        check: Callable[[], None],
        *raised: type[DomainError],
        with_key: Action | None = None,
        security: list[dict[str, list[str]]] | None = None,
    ) -> Callable[[View], View]:
        """Run `check` before the view, and document the tokens that it accepts."""
        security = security or ([*_BEARER, _API_KEY] if with_key else _BEARER)
        scope = {SCOPE: scope_for(with_key)} if with_key else {}

        def decorate(view: View) -> View:
            if _API_KEY in security:
                view = self.limited("API_KEY_LIMIT", by=by_key)(view)

            @wraps(view)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                check()
                return view(*args, **kwargs)

            self.problems(Unauthenticated, *raised)(guarded)
            return self.doc(security=security, **scope)(guarded)  # type: ignore[return-value] # wraps() keeps the signature

        return decorate
