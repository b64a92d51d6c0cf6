"""The project's own `flask` commands, each in an application context. They tell people what they did, and exit with
status 1 and one line when they did not.
"""

from flask import Flask

from bookings_api.cli.audit import audit
from bookings_api.cli.demo import fill_in
from bookings_api.cli.mail import mail
from bookings_api.cli.users import users


def register_commands(app: Flask) -> None:
    """Add our commands to `flask`."""
    for command in (users, mail, audit):
        app.cli.add_command(command)

    @app.cli.command()
    def demo() -> None:
        """Fill in accounts and events to try the service with; a second time changes nothing."""
        fill_in()
