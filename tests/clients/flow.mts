/**
 * An event from its first day to a booking that is cancelled, by openapi-fetch and the types of openapi-typescript.
 *
 *     node flow.mts http://localhost:8000 olivia@example.com uri@example.com
 *
 * Nothing but that client is used, and `tsc --strict` has to agree; flow.py does the same in Python.
 */

import assert from "node:assert/strict";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./api.d.ts";

type Booking = components["schemas"]["Booking"];
type Event = components["schemas"]["Event"];
type Problem = components["schemas"]["Problem"];
type Answer<T> = { data?: T; error?: Problem; response: Response };
type Api = Client<paths>;

const PASSWORD = "correct horse battery";
const DAY = 24 * 60 * 60 * 1000;

/** What was asked for, where it was not refused. */
function given<T>({ data, error }: Answer<T>): T {
  assert.ok(data !== undefined, `refused: ${JSON.stringify(error)}`);
  return data;
}

/** Why it was refused. */
function codeOf({ error }: Answer<unknown>): Problem["code"] {
  assert.ok(error, "not refused");
  return error.code;
}

async function signUpAndLogIn(baseUrl: string, email: string, is_organizer: boolean): Promise<Api> {
  const anyone = createClient<paths>({ baseUrl });
  const user = given(await anyone.POST("/api/v1/auth/signup", { body: { email, password: PASSWORD, is_organizer } }));
  assert.equal(user.email, email);
  const token = given(await anyone.POST("/api/v1/auth/login", { body: { email, password: PASSWORD } }));
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token.access_token}` } });
}

async function createAndFind(organizer: Api): Promise<Event> {
  const start = Date.now() + 30 * DAY;
  const created = given(
    await organizer.POST("/api/v1/events/", {
      body: {
        title: "Schubert by Candlelight",
        location: "Kammermusiksaal",
        timezone: "Europe/Berlin",
        starts_at: new Date(start).toISOString(),
        ends_at: new Date(start + DAY / 12).toISOString(),
        capacity: 3,
      },
    }),
  );
  const query = { q: "candlelight", organizer_id: created.organizer_id };
  const listed = given(await organizer.GET("/api/v1/events/", { params: { query } }));
  assert.deepEqual(listed, [created]);
  assert.deepEqual([Date.parse(created.starts_at), created.tickets_available], [start, 3]);
  return created;
}

/** Take two of the three seats, twice with one key; two more are one too many. */
async function book(user: Api, event: Event): Promise<Booking> {
  const order = (key: string) =>
    user.POST("/api/v1/bookings/", {
      params: { header: { "Idempotency-Key": key } },
      body: { event_id: event.id, ticket_count: 2 },
    });
  const booking = given(await order("two-seats"));
  assert.equal(booking.ticket_count, 2);

  const again = await order("two-seats");
  assert.equal(again.response.status, 201);
  assert.equal(again.response.headers.get("Idempotency-Replayed"), "true");
  assert.deepEqual(given(again), booking);

  assert.equal(codeOf(await order("two-more")), "sold-out");
  return booking;
}

/** Give one ticket back, then the other; the organizer sees it, as nobody else does. */
async function cancel(organizer: Api, user: Api, booking: Booking): Promise<void> {
  const ofBooking = { params: { path: { booking_id: booking.id } } };
  const changed = given(await user.PATCH("/api/v1/bookings/{booking_id}", { ...ofBooking, body: { ticket_count: 1 } }));
  assert.deepEqual([changed.ticket_count, changed.status], [1, "confirmed"]);
  const cancelled = given(await user.DELETE("/api/v1/bookings/{booking_id}", ofBooking));
  assert.equal(cancelled.status, "cancelled");
  assert.ok(cancelled.cancelled_at);

  const ofEvent = { params: { path: { event_id: booking.event_id } } };
  assert.deepEqual(given(await organizer.GET("/api/v1/events/{event_id}/bookings", ofEvent)), [cancelled]);
  assert.equal(codeOf(await user.GET("/api/v1/events/{event_id}/bookings", ofEvent)), "not-allowed");
}

/** After the log-out the token is worth nothing. */
async function end(user: Api, booking: Booking): Promise<void> {
  assert.equal(given(await user.GET("/api/v1/users/me")).id, booking.user_id);
  assert.equal((await user.POST("/api/v1/auth/logout")).response.status, 204);
  assert.equal(codeOf(await user.GET("/api/v1/users/me")), "unauthenticated");
}

/** Print the reference of the booking that was made, changed and cancelled. */
async function main(url: string, organizerEmail: string, userEmail: string): Promise<void> {
  const organizer = await signUpAndLogIn(url, organizerEmail, true);
  const user = await signUpAndLogIn(url, userEmail, false);
  const booking = await book(user, await createAndFind(organizer));
  await cancel(organizer, user, booking);
  await end(user, booking);
  console.log(booking.reference);
}

const [url, organizerEmail, userEmail] = process.argv.slice(2);
assert.ok(url && organizerEmail && userEmail);
await main(url, organizerEmail, userEmail);
