"""Swagger UI as a person finds it: what is pressed, what is filled in, what is read."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from playwright.sync_api import Locator, Page, Response

# The browser tells the page of what its policy has stopped.
_KEEP_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", event => violations.push(event.effectiveDirective));
"""


class SwaggerUI:
    """The page at `/docs`.

    `console` is what the page has said, `requests` the addresses that it has asked for, `failures` what it did not get.
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
        page.on("response", self._see)
        page.add_init_script(_KEEP_VIOLATIONS)

    def _see(self, response: Response) -> None:
        if response.status >= HTTPStatus.BAD_REQUEST:
            self.failures.append(f"{response.url}: {response.status}")

    def open(self, path: str = "/docs") -> None:
        """Go to an address that leads to the page, and wait for the operations."""
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

    def forget(self) -> None:
        """Drop the token that the dialog has got."""
        dialog = self._open_dialog()
        logout = dialog.get_by_role("button", name="Remove authorization")
        logout.click()
        logout.wait_for(state="detached")
        dialog.get_by_role("button", name="Close").last.click()

    def execute(self, operation: str, *, body: Mapping[str, Any] | None = None, **parameters: str) -> tuple[str, Any]:
        """Fill in an operation, press Execute, and read the status and the JSON that the page shows."""
        self.unfold(operation)
        block = self._operation(operation)
        for name, value in parameters.items():
            block.locator(f'[data-param-name="{name}"] input').fill(value)
        if body is not None:
            block.locator(".body-param__text").fill(json.dumps(dict(body), indent=2))
        block.get_by_role("button", name="Execute").click()
        answer = block.locator(".live-responses-table")
        answer.scroll_into_view_if_needed()
        status = answer.locator("tbody .response-col_status").inner_text()
        return status, json.loads(answer.locator(".highlight-code code").inner_text())

    def put_away(self, operation: str) -> None:
        """Clear the answer of an operation, and fold it up."""
        self._operation(operation).get_by_role("button", name="Clear").click()
        self.fold_up(operation)

    def unfold(self, operation: str) -> None:
        self._operation(operation).locator(".opblock-summary-control").click()
        self._execute_button(operation).wait_for()

    def fold_up(self, operation: str) -> None:
        self._operation(operation).locator(".opblock-summary-control").click()
        self._execute_button(operation).wait_for(state="detached")

    def is_unfolded(self, operation: str) -> bool:
        return self._operation(operation).locator(".opblock-summary-control").get_attribute("aria-expanded") == "true"

    def operations(self) -> list[str]:
        """The `operationId` of each."""
        ids: list[str] = self.page.locator(".opblock").evaluate_all("blocks => blocks.map(block => block.id)")
        return [block.rpartition("-")[2] for block in ids]

    @property
    def width(self) -> int:
        """How many CSS pixels the page needs from left to right."""
        width: int = self.page.evaluate("document.scrollingElement.scrollWidth")
        return width

    @property
    def violations(self) -> list[str]:
        """The directives of the content security policy that have stopped something."""
        violations: list[str] = self.page.evaluate("violations")
        return violations

    def _operation(self, operation: str) -> Locator:
        return self.page.locator(f'.opblock[id$="-{operation}"]')

    def _execute_button(self, operation: str) -> Locator:
        return self._operation(operation).get_by_role("button", name="Execute")

    def _open_dialog(self) -> Locator:
        self.page.locator(".scheme-container").get_by_role("button", name="Authorize").click()
        return self.page.locator(".modal-ux")
