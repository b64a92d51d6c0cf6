"""Adds documentation to views, in the attribute that flask-smorest uses."""

from collections.abc import Callable
from typing import Any, TypeVar

from bookings_api.http.openapi.operations import PROBLEMS
from bookings_api.http.problems import Problem

View = TypeVar("View", bound=Callable[..., Any])


def with_problems(*problems: Problem) -> Callable[[View], View]:
    """Record problems that a view can return, so that `openapi.operations` documents them."""

    def decorate(view: View) -> View:
        known = getattr(view, "_apidoc", {})
        view._apidoc = known | {PROBLEMS: [*problems, *known.get(PROBLEMS, [])]}  # type: ignore[attr-defined] # noqa: SLF001 - where flask-smorest keeps its documentation
        return view

    return decorate


def documented_by(document: Callable[[Any], Any], view: Any) -> Any:
    """Add to `view` the documentation that the flask-smorest decorator `document` creates. Does not wrap the view."""
    view._apidoc = document(view)._apidoc  # noqa: SLF001 - where flask-smorest keeps its documentation
    return view
