# The service without the embedded servers: gunicorn by default; compose.yaml runs the worker, beat and the migrations
# from the same image. Nothing is written below /app or /opt/venv, so the root file system may be read-only; /tmp may not.

FROM python:3.13-slim-trixie AS builder
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_LINK_MODE=copy
WORKDIR /app
RUN pip install --no-cache-dir uv==0.13.9
# the dependencies first: they change less often than the service
COPY pyproject.toml uv.lock ./
# OpenTelemetry comes with --build-arg EXTRA=--extra=telemetry
ARG EXTRA=
RUN uv sync --locked --no-default-groups ${EXTRA:+"$EXTRA"}
COPY wsgi.py config.py gunicorn.conf.py LICENSE ./
COPY bookings_api bookings_api
COPY migrations migrations
COPY scripts/migrate_admin_roles.py scripts/
RUN python -m compileall -q .

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="Event Booking API" \
      org.opencontainers.image.description="Books tickets to events; never oversells one, never loses a confirmation" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
# a number: Kubernetes and others cannot see of a name that it is not root's
USER 10001:10001
EXPOSE 8000
# Whether the process answers, and not whether its servers do: where unhealthy containers are started anew, a restart
# would not mend those. A balancer asks /health/ready.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
CMD ["gunicorn", "--bind=0.0.0.0:8000", "wsgi:app"]
