"""The kinds of requests that wrk sends, and the work that each is compared with."""

from dataclasses import dataclass

from scripts.benchmarks.service import HOT_EVENT, PASSWORD, SOLD_OUT_EVENT, USERS, event_id

BOOKINGS, EVENTS = "/api/v1/bookings/", "/api/v1/events/"


@dataclass(frozen=True)
class Load:
    """A kind of request.

    `request` is the body of wrk's Lua function, in which `user` is a token and `n` a counter. `pgbench` is a script
    that does the same work in PostgreSQL. Without a script, the load is compared with the bare route. `goal` is the
    ratio of the rates that the service should reach. If `is_refused`, the expected response is 409.
    """

    name: str
    request: str
    pgbench: str | None = None
    goal: float | None = None
    is_refused: bool = False


def loads(*, events: int, deepest_page: int) -> list[Load]:
    """Return all loads for tables with this many events."""
    any_event = event_id(0).hex[:20]
    any_event = f"{any_event[:8]}-{any_event[8:12]}-{any_event[12:16]}-{any_event[16:20]}-"
    return [
        Load("list of 50 events", _LIST, goal=0.6),
        Load("deepest page", _get(f"{EVENTS}?page_size=50&page={deepest_page}")),
        Load("one event", _get(EVENTS + str(event_id(1))), goal=0.6),
        Load("own bookings", _get(BOOKINGS, with_token=True), goal=0.2),
        Load("login", _LOGIN),
        Load("refusal, sold out", _booking(f'"{SOLD_OUT_EVENT}"'), goal=0.22, is_refused=True),
        # bookings come last, because the worker then sends emails for a while
        Load(
            "spread booking",
            _booking(f'"{any_event}" .. string.format("%012x", math.random(1, {events}))'),
            _pgbench(f"'{any_event}' || lpad(to_hex(:event::bigint), 12, '0')", events=events),
            goal=0.32,
        ),
        Load("hot booking", BUYING.request, _pgbench(f"'{HOT_EVENT}'"), goal=0.65),
    ]


def _get(path: str, *, with_token: bool = False) -> str:
    headers = '{["Authorization"] = "Bearer " .. user}' if with_token else "{}"
    return f'return wrk.format("GET", at("{path}"), {headers})'


def _booking(event: str) -> str:
    return f"""
    headers["Authorization"] = "Bearer " .. user
    headers["Idempotency-Key"] = key .. n
    return wrk.format("POST", at("{BOOKINGS}"), headers, '{{"event_id": "' .. {event} .. '", "ticket_count": 1}}')
    """


# The loads of the benchmark "on sale": tickets for the hot event go on sale.
_LIST = _get(f"{EVENTS}?page_size=50")
READING = [Load("list of 50 events", _LIST), Load("hot event", _get(f"{EVENTS}{HOT_EVENT}"))]
BUYING = Load("hot booking", _booking(f'"{HOT_EVENT}"'))

_LOGIN = f"""
    local body = '{{"email": "user' .. (n % {USERS} + 1) .. '@example.com", "password": "{PASSWORD}"}}'
    return wrk.format("POST", at("/api/v1/auth/login"), headers, body)
"""


def lua(load: Load, tokens: str, bare_size: int | None) -> str:
    """Return the script for wrk.

    `tokens` is the path of a file with a token on each line. With `bare_size`, the script requests the bare route.
    """
    at = "return path" if bare_size is None else f'return "/{bare_size}"'
    return f"""
local tokens, headers, n = {{}}, {{["Content-Type"] = "application/json"}}, 0
for line in io.lines("{tokens}") do tokens[#tokens + 1] = line end
math.randomseed(os.time() + tonumber(tostring({{}}):sub(8)))
local key = string.format("%08x-%d-", math.random(0, 0x7fffffff), os.time())
local function at(path) {at} end
request = function()
    n = n + 1
    local user = tokens[n % #tokens + 1]
    {load.request}
end
{_COUNT_OTHER_THAN_409 if load.is_refused and bare_size is None else _COUNT_ERRORS}
done = function(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format("RESULT %d %d %f %f %d %d\\n", summary.requests, summary.duration, latency:percentile(50),
        latency:percentile(99), others(summary), errors.connect + errors.read + errors.write + errors.timeout))
end
"""


# Counts responses other than 409, for loads whose requests must be refused. Each thread of wrk has its variables.
_COUNT_OTHER_THAN_409 = """
local threads = {}
wrong = 0
setup = function(thread) threads[#threads + 1] = thread end
response = function(status) if status ~= 409 then wrong = wrong + 1 end end
local function others()
    local sum = 0
    for _, thread in ipairs(threads) do sum = sum + thread:get("wrong") end
    return sum
end
"""
_COUNT_ERRORS = "local function others(summary) return summary.errors.status end"


def _pgbench(event: str, *, events: int = 1) -> str:
    """Return a pgbench script that reads, locks and writes the same rows as a booking with an `Idempotency-Key`."""
    event = f"({event})::uuid"
    user = "('00000000-0000-7000-a000-' || lpad(to_hex(:user::bigint), 12, '0'))::uuid"
    booking = "('00000000-0000-7000-9000-' || lpad(to_hex(:key::bigint), 12, '0'))::uuid"
    return f"""
\\set event random(1, {events})
\\set user random(1, {USERS})
\\set key random(1, 1000000000000)
BEGIN;
SELECT users.* FROM users JOIN logins ON logins.user_id = users.id
    WHERE logins.id = {user} AND logins.revoked_at IS NULL AND users.is_active;
SELECT * FROM events WHERE id = {event} FOR UPDATE;
SELECT *, EXISTS (SELECT FROM bookings WHERE event_id = {event} AND is_waiting)
    FROM ticket_types WHERE event_id = {event};
UPDATE events SET tickets_booked = tickets_booked + 1, tickets_held = tickets_held + 0, updated_at = now()
    WHERE id = {event};
UPDATE ticket_types SET tickets_booked = tickets_booked + 1, tickets_held = tickets_held + 0 WHERE id = {event};
INSERT INTO bookings (id, reference, event_id, user_id, ticket_count, guest_name, guest_email, confirmed_at)
    VALUES ({booking}, upper(lpad(to_hex(:key::bigint), 10, '0')), {event}, {user}, 1, 'User', 'user@example.com',
            now());
INSERT INTO booking_items (booking_id, ticket_type_id, count) VALUES ({booking}, {event}, 1);
INSERT INTO outbox_emails (id, kind, recipient, payload, booking_id, user_id, message_id)
    VALUES ({booking}, 'booking_confirmed', 'user@example.com', '{_PAYLOAD}', {booking}, {user},
            :key::bigint || '@example.com');
INSERT INTO idempotency_keys (actor_id, key, request_hash, response)
    VALUES ({user}, :key::bigint::text, decode(repeat('00', 32), 'hex'), '{_RESPONSE}');
COMMIT;
"""  # noqa: S608 - contains only constants


_PAYLOAD = (
    '{"event_title": "Concert", "location": "Konzerthaus Berlin", "timezone": "Europe/Berlin", "version": 1,'
    ' "starts_at": "2099-06-19T17:30:00+00:00", "ends_at": "2099-06-19T20:00:00+00:00", "reference": "K7M3PTW9XA",'
    ' "guest_name": "Grace Hopper", "ticket_count": 1}'
)
_RESPONSE = (
    '{"id": "01890000-0000-7000-8000-000000000001", "reference": "K7M3PTW9XA", "event_id":'
    ' "00000000-0000-7000-8000-0000000f0001", "user_id": "01890000-0000-7000-8000-000000000001", "ticket_count": 1,'
    ' "guest_name": "User 1", "guest_email": "user1@example.com", "status": "confirmed", "version": 1, "created_at":'
    ' "2099-06-19T17:30:00+00:00", "updated_at": "2099-06-19T17:30:00+00:00", "cancelled_at": null}'
)
