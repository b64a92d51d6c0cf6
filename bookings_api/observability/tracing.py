"""OpenTelemetry traces of requests, SQL statements and tasks.

This module is imported only if `TELEMETRY` is true. Variables such as `OTEL_EXPORTER_OTLP_ENDPOINT` configure the
export: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.

Only the attributes in `_EXPORTED_ATTRIBUTES` are exported. The instrumentation libraries also record personal data,
such as IP addresses, query strings, and error messages in which PostgreSQL quotes rows.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import flask
from celery import signals
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.psycopg2 import Psycopg2Instrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from bookings_api.observability.logging import REQUEST_ID_HEADER, ROUTE
from bookings_api.observability.metrics import route_label

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

NAME = "event-booking-api"
REQUEST_ID = "bookings.request_id"

# Names from https://opentelemetry.io/docs/specs/semconv/ and from the Celery instrumentation
_EXPORTED_ATTRIBUTES = {
    "celery.action",
    "celery.state",
    "celery.task_name",
    "db.namespace",
    "db.query.text",
    "db.system.name",
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "messaging.destination",
    "messaging.message.id",
    "url.scheme",
    REQUEST_ID,
}


class FilteringExporter(OTLPSpanExporter):
    """Exports spans with OTLP over HTTP, without events and error messages, and only with `_EXPORTED_ATTRIBUTES`."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return super().export([_filtered(span) for span in spans])


def init_telemetry(app: flask.Flask) -> None:
    """Instrument requests, statements and tasks.

    `app.extensions["telemetry"]()` starts the thread that exports spans. Each gunicorn worker must call it after the
    fork. Celery's pool processes call it when they start.
    """
    # selects the stable names of attributes; the libraries read this variable when they are set up
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    app.wsgi_app = OpenTelemetryMiddleware(app.wsgi_app, _on_request, _on_response)  # type: ignore[method-assign] # as Flask documents it
    Psycopg2Instrumentor().instrument()
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call] # OpenTelemetry's
    app.extensions["telemetry"] = _start
    signals.worker_process_init.connect(_start)
    signals.worker_process_shutdown.connect(_stop)


def _start(**_: object) -> None:
    resource = Resource({SERVICE_NAME: NAME}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=Resource.create(resource.attributes))
    provider.add_span_processor(BatchSpanProcessor(FilteringExporter()))
    trace.set_tracer_provider(provider)


def _stop(**_: object) -> None:
    """Export the remaining spans. Celery's pool processes do not run Python's exit handlers."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


def _on_request(span: trace.Span, environ: "WSGIEnvironment") -> None:
    """Rename the span. Its default name contains the path, which clients choose."""
    span.update_name("HTTP")


def _on_response(span: trace.Span, environ: "WSGIEnvironment", status: str, headers: list[tuple[str, str]]) -> None:
    route: str | None = environ.get(ROUTE)
    if route is not None:
        span.set_attribute("http.route", route_label(route))
        span.update_name(f"{environ['REQUEST_METHOD']} {route_label(route)}")
    span.set_attribute(REQUEST_ID, dict(headers).get(REQUEST_ID_HEADER, ""))


def _filtered(span: ReadableSpan) -> ReadableSpan:
    attributes: dict[str, Any] = {
        key: value for key, value in (span.attributes or {}).items() if key in _EXPORTED_ATTRIBUTES
    }
    return ReadableSpan(
        name=span.name,
        context=_without_state(span.context),
        parent=_without_state(span.parent),
        resource=span.resource,
        attributes=attributes,
        kind=span.kind,
        status=trace.Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _without_state(context: trace.SpanContext | None) -> trace.SpanContext | None:
    """Remove `tracestate`, because clients can set it to any value (W3C Trace Context, section 3.3)."""
    if context is None:
        return None
    return trace.SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)
