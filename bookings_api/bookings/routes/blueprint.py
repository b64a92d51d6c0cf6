"""The blueprint of `/bookings`."""

from bookings_api.http.blueprint import Blueprint

blp: Blueprint = Blueprint(
    "bookings", __name__, url_prefix="/bookings", description="Book tickets and manage your bookings"
)
