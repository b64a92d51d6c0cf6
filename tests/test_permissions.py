"""Permissions: every operation of the OpenAPI document, called by every kind of caller."""

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import API, Account, add_to_team, make_organizer, make_user
from tests.payments import book_priced, pay
from tests.permissions import CALLERS, REQUESTS, Operations, documented_operations, make_scene, make_scenes, send

# The user's booking is held. The responsible organizer created the event, and the helper and the co-organizer are on
# its team. The inactive account was an organizer's. The stranger owns another organization.
TABLE = """
                      anon  user  other  helper  co-org  organizer  responsible  owner  stranger  inactive

signup                201   201   201    201     201     201        201          201    201       201
login                 200   200   200    200     200     200        200          200    200       200
token                 200   200   200    200     200     200        200          200    200       200
refresh               401   200   200    200     200     200        200          200    200       401
logout                401   204   204    204     204     204        204          204    204       401
requestPasswordReset  202   202   202    202     202     202        202          202    202       202
confirmPasswordReset  204   204   204    204     204     204        204          204    204       204
verifyEmail           204   204   204    204     204     204        204          204    204       204
resendVerification    401   202   202    202     202     202        202          202    202       401
acceptInvitation      200   200   200    200     200     200        200          200    200       200

getProfile            401   200   200    200     200     200        200          200    200       401
changeProfile         401   200   200    200     200     200        200          200    200       401
deleteAccount         401   204   204    204     204     204        409          204    409       401
exportAccount         401   200   200    200     200     200        200          200    200       401
changePassword        401   204   204    204     204     204        204          204    204       401
listUsers             401   403   403    403     403     200        200          200    200       401
inviteUser            401   403   403    403     403     201        201          201    201       401
getUser               401   403   403    403     403     200        200          200    404       401
changeUser            401   403   403    403     403     200        200          200    404       401
deactivateUser        401   403   403    403     403     204        204          204    404       401

listOrganizations     401   200   200    200     200     200        200          200    200       401
getOrganization       401   200   200    200     200     200        200          200    404       401
changeOrganization    401   403   403    403     403     403        403          200    404       401

listApiKeys           401   403   403    403     403     200        200          200    404       401
createApiKey          401   403   403    403     403     201        201          201    404       401
getApiKey             401   403   403    403     403     200        200          200    404       401
changeApiKey          401   403   403    403     403     403        200          200    404       401
rotateApiKey          401   403   403    403     403     403        200          200    404       401
revokeApiKey          401   403   403    403     403     403        204          204    404       401

listUpcomingEvents    200   200   200    200     200     200        200          200    200       200
listAllEvents         200   200   200    200     200     200        200          200    200       401
createEvent           401   403   403    403     403     201        201          201    201       401
getEvent              200   200   200    200     200     200        200          200    200       401
getEventCalendar      200   200   200    200     200     200        200          200    200       401
changeEvent           401   403   403    403     200     403        200          200    403       401
publishEvent          401   403   403    403     200     403        200          200    403       401
cancelEvent           401   403   403    403     200     403        200          200    403       401
deleteEvent           401   403   403    403     403     403        204          204    403       401
listAttendees         401   403   403    403     200     403        200          200    403       401

listTicketTypes       200   200   200    200     200     200        200          200    200       401
createTicketType      401   403   403    403     201     403        201          201    403       401
getTicketType         200   200   200    200     200     200        200          200    200       401
changeTicketType      401   403   403    403     200     403        200          200    403       401
deleteTicketType      401   403   403    403     204     403        204          204    403       401
getCapacity           401   403   403    403     200     403        200          200    403       401

listTeam              401   403   403    403     403     403        200          200    403       401
addTeamMember         401   403   403    403     403     403        201          201    403       401
getTeamMember         401   200   403    403     403     403        200          200    403       401
changeTeamMember      401   403   403    403     403     403        200          200    403       401
removeTeamMember      401   204   403    403     403     403        204          204    403       401
transferEvent         401   403   403    403     403     403        200          200    403       401
getDoorList           401   403   403    200     200     403        200          200    403       401
listWaitingList       401   403   403    403     200     403        200          200    403       401
listPayments          401   403   403    403     200     403        200          200    403       401

createBooking         401   201   201    201     201     201        201          201    201       401
listBookings          401   200   200    200     200     200        200          200    200       401
getBooking            401   200   404    404     200     404        200          200    404       401
getBookingCalendar    401   200   404    404     200     404        200          200    404       401
changeBooking         401   200   404    404     200     404        200          200    404       401
cancelBooking         401   200   404    404     200     404        200          200    404       401
confirmBooking        401   200   404    404     200     404        200          200    404       401
extendBooking         401   200   404    404     200     404        200          200    404       401
listBookingEmails     401   200   404    404     200     404        200          200    404       401
resendConfirmation    401   202   404    404     202     404        202          202    404       401
"""

# Operations after which a request of the next caller might get another response
CHANGE_THE_SCENE = {
    "confirmPasswordReset", "changeUser", "deactivateUser", "changeEvent", "publishEvent", "cancelEvent", "deleteEvent",
    "changeTicketType", "deleteTicketType",
    "changeTeamMember", "removeTeamMember", "transferEvent", "revokeApiKey", "changeBooking", "cancelBooking",
    "confirmBooking", "extendBooking", "resendConfirmation",
}  # fmt: skip

# sends no valid token
NOBODY = Account("", "", "", "")

CODES = {401: "unauthenticated", 403: "permission-denied"}
CONFLICTS = {"responsible": "responsible-for-events", "stranger": "last-organizer"}


def _expected(table: str) -> Mapping[str, Mapping[str, int]]:
    """Parse the table into statuses by operation and caller."""
    callers, *rows = (line.split() for line in table.splitlines() if line)
    assert callers == list(CALLERS)
    return {name: dict(zip(callers, map(int, statuses), strict=True)) for name, *statuses in rows}


EXPECTED = _expected(TABLE)


@pytest.fixture(scope="module")
def operations(application: Flask) -> Operations:
    return documented_operations(application.test_client())


def test_the_permission_table_lists_exactly_the_documented_operations(operations: Operations) -> None:
    assert EXPECTED.keys() == operations.keys()
    assert REQUESTS.keys() | CHANGE_THE_SCENE <= operations.keys()


def test_documented_login_requirements_match_the_permission_table(operations: Operations) -> None:
    for name, (_, _, operation) in operations.items():
        refused = {caller for caller, status in EXPECTED[name].items() if status == 401}
        assert refused == _refused_callers(operation["security"]), name


def _refused_callers(security: list[Mapping[str, Any]]) -> set[str]:
    """The callers that the documented security refuses. It may be required, optional (`{}`) or absent."""
    if not security:
        return set()
    return {"inactive"} if {} in security else {"anon", "inactive"}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_caller_gets_the_status_in_the_permission_table(
    client: FlaskClient, database: sa.Engine, operations: Operations, name: str
) -> None:
    method, path, operation = operations[name]
    responses = {}
    for caller, scene in make_scenes(client, database, *CALLERS).items():
        is_changed = name in CHANGE_THE_SCENE and EXPECTED[name][caller] < 400
        responses[caller] = send(make_scene(client, database, caller) if is_changed else scene, name, method, path)

    statuses = {caller: response.status_code for caller, response in responses.items()}
    assert statuses == EXPECTED[name]
    assert {str(status) for status in statuses.values()} <= operation["responses"].keys()
    refusals = {caller: status for caller, status in statuses.items() if status >= 400}
    assert {caller: responses[caller].json["code"] for caller in refusals} == {
        caller: CONFLICTS[caller] if status == 409 else CODES.get(status, f"{_named_first(path)}-not-found")
        for caller, status in refusals.items()
    }


def test_only_people_who_manage_the_event_can_confirm_with_a_payment(client: FlaskClient, database: sa.Engine) -> None:
    statuses = {}
    for caller in CALLERS:
        scene = make_scene(client, database, caller)
        booking = book_priced(client, scene.user, scene.responsible)
        if caller == "co-org":
            assert isinstance(scene.caller, Account)
            add_to_team(client, scene.responsible, {"id": booking["event_id"]}, scene.caller)
        statuses[caller] = pay(client, scene.caller or NOBODY, booking).status_code

    assert statuses == {
        "anon": 401, "user": 403, "other": 404, "helper": 404, "co-org": 200, "organizer": 404, "responsible": 200,
        "owner": 200, "stranger": 404, "inactive": 401,
    }  # fmt: skip


def test_a_buyer_cannot_confirm_a_booking_that_must_be_paid(client: FlaskClient) -> None:
    buyer = make_user(client)
    booking = book_priced(client, buyer, make_organizer(client))

    refused = client.post(f"{API}/bookings/{booking['id']}/confirm", headers=buyer.headers, json={})

    assert (refused.status_code, refused.json["code"]) == (409, "payment-required")


def _named_first(path: str) -> str:
    """Return the resource that the first parameter of a path identifies, such as `booking`."""
    return path.partition("{")[2].partition("_id}")[0]
