"""The project's `flask` commands. On an error, a command prints one line and exits with a nonzero status."""

from flask import Flask

from bookings_api.cli.audit import audit
from bookings_api.cli.demo import create_demo_data
from bookings_api.cli.mail import mail
from bookings_api.cli.users import users
from bookings_api.permissions import Tenancy


def register_commands(app: Flask) -> None:
    """Add the commands to `flask`."""
    for command in (users, mail, audit):
        app.cli.add_command(command)

    @app.cli.command()
    def demo() -> None:
        """Create demo accounts and events.

        Skips existing accounts. Creates no events if the demo organizer already has events.
        """
        create_demo_data(Tenancy(app.config["ORGANIZER_SIGNUP"]))
