"""A page object for Swagger UI: clicks buttons, fills in forms and reads responses."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from playwright.sync_api import Locator, Page, Response

# The browser reports violations of the content security policy to the page.
_RECORD_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", event => violations.push(event.effectiveDirective));
"""


class SwaggerUI:
    """The page at `/docs`.

    `console` contains its console messages, `requests` the requested URLs, `failures` the requests that failed.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.console: list[str] = []
        self.requests: list[str] = []
        self.failures: list[str] = []
        self._url = url
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"exception: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda request: self.failures.append(f"{request.url}: {request.failure}"))
        page.on("response", self._record_error)
        page.add_init_script(_RECORD_VIOLATIONS)

    def _record_error(self, response: Response) -> None:
        if response.status >= HTTPStatus.BAD_REQUEST:
            self.failures.append(f"{response.url}: {response.status}")

    def open(self, path: str = "/docs") -> None:
        """Open a path that leads to the page and wait for the operations."""
        self.page.goto(f"{self._url}{path}")
        self._operation("cancelBooking").wait_for()

    def authorize(self, email: str, password: str) -> None:
        """Log in with the dialog's password form."""
        dialog = self._open_dialog()
        form = dialog.locator(".auth-container", has_text="OAuth2, password")
        form.get_by_label("username:").fill(email)
        form.get_by_label("password:").fill(password)
        form.get_by_role("button", name="Apply given OAuth2 credentials").click()
        form.get_by_role("button", name="Remove authorization").wait_for()
        form.get_by_role("button", name="Close").click()

    def authorize_with_key(self, secret: str) -> None:
        """Enter an API key in the dialog."""
        dialog = self._open_dialog()
        form = dialog.locator(".auth-container", has=self.page.get_by_role("heading", name="api_key"))
        form.get_by_role("textbox").fill(secret)
        form.get_by_role("button", name="Apply credentials").click()
        form.get_by_role("button", name="Remove authorization").wait_for()
        form.get_by_role("button", name="Close").click()

    def log_out(self) -> None:
        """Remove the access token with the dialog's logout button."""
        dialog = self._open_dialog()
        logout = dialog.get_by_role("button", name="Remove authorization")
        logout.click()
        logout.wait_for(state="detached")
        dialog.get_by_role("button", name="Close").last.click()

    def execute(self, operation: str, *, body: Mapping[str, Any] | None = None, **parameters: str) -> tuple[str, Any]:
        """Fill in an operation, click Execute, and return the displayed status and JSON."""
        self.expand(operation)
        block = self._operation(operation)
        for name, value in parameters.items():
            block.locator(f'[data-param-name="{name}"] input').fill(value)
        if body is not None:
            block.locator(".body-param__text").fill(json.dumps(dict(body), indent=2))
        block.get_by_role("button", name="Execute").click()
        response = block.locator(".live-responses-table")
        response.scroll_into_view_if_needed()
        status = response.locator("tbody .response-col_status").inner_text()
        return status, json.loads(response.locator(".highlight-code code").inner_text())

    def clear(self, operation: str) -> None:
        """Clear the response of an operation and collapse it."""
        self._operation(operation).get_by_role("button", name="Clear").click()
        self.collapse(operation)

    def expand(self, operation: str) -> None:
        self._operation(operation).locator(".opblock-summary-control").click()
        self._execute_button(operation).wait_for()

    def collapse(self, operation: str) -> None:
        self._operation(operation).locator(".opblock-summary-control").click()
        self._execute_button(operation).wait_for(state="detached")

    def is_expanded(self, operation: str) -> bool:
        return self._operation(operation).locator(".opblock-summary-control").get_attribute("aria-expanded") == "true"

    def operations(self) -> list[str]:
        """The `operationId` of every operation."""
        ids: list[str] = self.page.locator(".opblock").evaluate_all("blocks => blocks.map(block => block.id)")
        return [block.rpartition("-")[2] for block in ids]

    @property
    def width(self) -> int:
        """The width of the page's content in CSS pixels."""
        width: int = self.page.evaluate("document.scrollingElement.scrollWidth")
        return width

    @property
    def violations(self) -> list[str]:
        """The directives of the content security policy that blocked something."""
        violations: list[str] = self.page.evaluate("violations")
        return violations

    def _operation(self, operation: str) -> Locator:
        return self.page.locator(f'.opblock[id$="-{operation}"]')

    def _execute_button(self, operation: str) -> Locator:
        return self._operation(operation).get_by_role("button", name="Execute")

    def _open_dialog(self) -> Locator:
        self.page.locator(".scheme-container").get_by_role("button", name="Authorize").click()
        return self.page.locator(".modal-ux")
