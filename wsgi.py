"""Entry points for `gunicorn wsgi:app`, `celery -A wsgi.celery worker` and the `flask` command."""

import sys

from bookings_api import create_app
from config import Config, ConfigError

try:
    config = Config.from_environment()
except ConfigError as error:
    sys.exit(str(error))

app = create_app(config)
celery = app.extensions["celery"]
