"""The project's own `flask` commands."""

from flask import Flask

from bookings_api.demo import fill_in


def register_commands(app: Flask) -> None:
    """Add our commands to `flask`; each runs in an application context."""

    @app.cli.command()
    def demo() -> None:
        """Fill in accounts and events to try the service with; a second time changes nothing."""
        fill_in()
