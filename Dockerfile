# The service without embedded servers. Runs gunicorn by default; compose.yaml also runs the worker, beat and migrations
# from this image. Only /tmp must be writable.

FROM python:3.13-slim-trixie AS builder
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_LINK_MODE=copy
WORKDIR /app
RUN pip install --no-cache-dir uv==0.13.9
# Before the service, because dependencies change less often.
COPY pyproject.toml uv.lock ./
# Add OpenTelemetry with --build-arg EXTRA=--extra=telemetry.
ARG EXTRA=
RUN uv sync --locked --no-default-groups ${EXTRA:+"$EXTRA"}
COPY wsgi.py config.py gunicorn.conf.py LICENSE ./
COPY bookings_api bookings_api
COPY migrations migrations
COPY scripts/migrate_admin_roles.py scripts/
RUN python -m compileall -q .

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="Event Booking API" \
      org.opencontainers.image.description="Event booking service that never oversells an event and never loses an email" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
# Numeric, because Kubernetes cannot tell whether a user name is root.
USER 10001:10001
EXPOSE 8000
# Checks only the process, because a restart would not repair other servers. Load balancers use /health/ready.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
CMD ["gunicorn", "--bind=0.0.0.0:8000", "wsgi:app"]
