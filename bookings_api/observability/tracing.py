"""Traces of requests, of their statements and of tasks, sent to a collector by OpenTelemetry.

Only imported with `TELEMETRY=true`. All else is said by OpenTelemetry's own variables, such as
`OTEL_EXPORTER_OTLP_ENDPOINT`: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.

What leaves the process stands on a list. The libraries note addresses, query strings, names of programs, and of an
error the text, in which PostgreSQL quotes rows; nothing of that is sent, whatever they will note one day.
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

# https://opentelemetry.io/docs/specs/semconv/ but for Celery's, which are its instrumentation's own
_TOLD = {
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


class DiscreetExporter(OTLPSpanExporter):
    """OTLP over HTTP, of what may be told: no event, no words of an error, and of the attributes those on the list."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return super().export([_discreet(span) for span in spans])


def init_telemetry(app: flask.Flask) -> None:
    """Watch requests, statements and tasks; nothing is sent before `app.extensions["telemetry"]()` is called.

    Each process calls that for itself, after the fork: the thread that sends would not survive it.
    """
    # the names that are stable, where the libraries still know older ones; read by them when they begin
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    app.wsgi_app = OpenTelemetryMiddleware(app.wsgi_app, _begin, _name)  # type: ignore[method-assign]
    Psycopg2Instrumentor().instrument()
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    app.extensions["telemetry"] = _start
    signals.worker_process_init.connect(_start)
    signals.worker_process_shutdown.connect(_stop)


def _start(**_: object) -> None:
    resource = Resource({SERVICE_NAME: NAME}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=Resource.create(resource.attributes))
    provider.add_span_processor(BatchSpanProcessor(DiscreetExporter()))
    trace.set_tracer_provider(provider)


def _stop(**_: object) -> None:
    """A process of Celery's pool ends without what Python does at an exit."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


def _begin(span: trace.Span, environ: "WSGIEnvironment") -> None:
    """By no path: what a request is called must not be of its client's making."""
    span.update_name("HTTP")


def _name(span: trace.Span, environ: "WSGIEnvironment", status: str, headers: list[tuple[str, str]]) -> None:
    route: str | None = environ.get(ROUTE)
    if route is not None:
        span.set_attribute("http.route", route_label(route))
        span.update_name(f"{environ['REQUEST_METHOD']} {route_label(route)}")
    span.set_attribute(REQUEST_ID, dict(headers).get(REQUEST_ID_HEADER, ""))


def _discreet(span: ReadableSpan) -> ReadableSpan:
    attributes: dict[str, Any] = {key: value for key, value in (span.attributes or {}).items() if key in _TOLD}
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
    """The numbers alone: a client writes into `tracestate` what it likes (W3C Trace Context, section 3.3)."""
    if context is None:
        return None
    return trace.SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)
