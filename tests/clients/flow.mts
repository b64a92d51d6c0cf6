/**
 * Create an event, book, cancel, sell and wait for tickets with openapi-fetch and the types of openapi-typescript.
 *
 *     node flow.mts http://localhost:8000 olivia@example.com uri@example.com
 *
 * Uses only that client and passes `tsc --strict`. flow.py does the same in Python.
 */

import assert from "node:assert/strict";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./api.d.ts";

type Booking = components["schemas"]["Booking"];
type Preview = components["schemas"]["BookingPreview"];
type Event = components["schemas"]["Event"];
type Problem = components["schemas"]["Problem"];
type Result<T> = { data?: T; error?: Problem; response: Response };
type Api = Client<paths>;

const PASSWORD = "correct horse battery";
const DAY = 24 * 60 * 60 * 1000;

/** Return the data of a successful response. */
function unwrap<T>({ data, error }: Result<T>): T {
  assert.ok(data !== undefined, `failed: ${JSON.stringify(error)}`);
  return data;
}

/** Return the booking in a response to `createBooking`, which contains a preview if `dry_run` is true. */
function booked(result: Result<Booking | Preview>): Booking {
  const data = unwrap(result);
  assert.ok("id" in data, "a preview");
  return data;
}

/** Return the problem code of a failed response. */
function codeOf({ error }: Result<unknown>): Problem["code"] {
  assert.ok(error, "did not fail");
  return error.code;
}

async function signUpAndLogIn(baseUrl: string, email: string, is_organizer: boolean): Promise<Api> {
  const anyone = createClient<paths>({ baseUrl });
  const user = unwrap(await anyone.POST("/api/v1/auth/signup", { body: { email, password: PASSWORD, is_organizer } }));
  assert.equal(user.email, email);
  const token = unwrap(await anyone.POST("/api/v1/auth/login", { body: { email, password: PASSWORD } }));
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token.access_token}` } });
}

async function createAndListEvent(organizer: Api): Promise<Event> {
  const start = Date.now() + 30 * DAY;
  const created = unwrap(
    await organizer.POST("/api/v1/events/", {
      body: {
        title: "Schubert by Candlelight",
        location: "Kammermusiksaal",
        timezone: "Europe/Berlin",
        starts_at: new Date(start).toISOString(),
        ends_at: new Date(start + DAY / 12).toISOString(),
        capacity: 3,
        currency: "EUR",
        waitlist: "on",
      },
    }),
  );
  const query = { q: "candlelight", organizer_id: created.organizer_id };
  const listed = unwrap(await organizer.GET("/api/v1/events/", { params: { query } }));
  assert.deepEqual(listed, [created]);
  assert.deepEqual([Date.parse(created.starts_at), created.tickets_available], [start, 3]);
  return created;
}

/** Check the order, book two of three tickets, repeat the request with the same key, then fail to book two more. */
async function book(user: Api, event: Event): Promise<Booking> {
  const order = (key: string) =>
    user.POST("/api/v1/bookings/", {
      params: { header: { "Idempotency-Key": key } },
      body: { event_id: event.id, ticket_count: 2 },
    });
  const preview = unwrap(
    await user.POST("/api/v1/bookings/", {
      params: { query: { dry_run: true } },
      body: { event_id: event.id, ticket_count: 2 },
    }),
  );
  assert.ok("refusals" in preview);
  assert.deepEqual([preview.status, preview.refusals], ["confirmed", []]);
  const booking = booked(await order("first-booking"));
  assert.equal(booking.ticket_count, 2);

  const again = await order("first-booking");
  assert.equal(again.response.status, 201);
  assert.equal(again.response.headers.get("Idempotency-Replayed"), "true");
  assert.deepEqual(unwrap(again), booking);

  assert.equal(codeOf(await order("second-booking")), "sold-out");
  return booking;
}

/** Return one ticket, then cancel. The organizer can list the booking, the user cannot. */
async function cancel(organizer: Api, user: Api, booking: Booking): Promise<void> {
  const ofBooking = { params: { path: { booking_id: booking.id } } };
  const changed = unwrap(await user.PATCH("/api/v1/bookings/{booking_id}", { ...ofBooking, body: { ticket_count: 1 } }));
  assert.deepEqual([changed.ticket_count, changed.status], [1, "confirmed"]);
  const cancelled = unwrap(await user.DELETE("/api/v1/bookings/{booking_id}", ofBooking));
  assert.equal(cancelled.status, "cancelled");
  assert.ok(cancelled.cancelled_at);

  const ofEvent = { params: { path: { event_id: booking.event_id } } };
  assert.deepEqual(unwrap(await organizer.GET("/api/v1/events/{event_id}/bookings", ofEvent)), [cancelled]);
  assert.equal(codeOf(await user.GET("/api/v1/events/{event_id}/bookings", ofEvent)), "permission-denied");
}

/** Create an API key, and book with it for a guest who has no account. */
async function bookWithKey(baseUrl: string, organizer: Api, event: Event): Promise<void> {
  const key = unwrap(
    await organizer.POST("/api/v1/organizations/{organization_id}/api-keys", {
      params: { path: { organization_id: event.organization_id } },
      body: { name: "Website", scopes: ["bookings:read", "bookings:write"] },
    }),
  );
  assert.ok(key.secret);
  const program = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key.secret}` } });
  const body = {
    event_id: event.id,
    guest_name: "Grace",
    guest_email: "grace@example.com",
    external_id: "order-1",
  };
  const booking = booked(await program.POST("/api/v1/bookings/", { body }));
  assert.deepEqual([booking.user_id, booking.booked_by, booking.external_id], [null, "Website", "order-1"]);
  assert.deepEqual(unwrap(await program.POST("/api/v1/bookings/", { body })), booking);
  assert.deepEqual(unwrap(await program.GET("/api/v1/bookings/")), [booking]);
  await sellLastTickets(organizer, program, event);
}

/** Set a price, hold and sell the last two tickets, and join the waiting list. */
async function sellLastTickets(organizer: Api, program: Api, event: Event): Promise<void> {
  const ofEvent = { params: { path: { event_id: event.id } } };
  const [type] = unwrap(await organizer.GET("/api/v1/events/{event_id}/ticket-types", ofEvent));
  assert.ok(type);
  unwrap(
    await organizer.PATCH("/api/v1/events/{event_id}/ticket-types/{type_id}", {
      params: { path: { event_id: event.id, type_id: type.id } },
      body: { price: 1800 },
    }),
  );
  const guest = { guest_name: "Grace", guest_email: "grace@example.com" };
  const body = { event_id: event.id, ticket_count: 2, waitlist: true, ...guest };
  const held = booked(await program.POST("/api/v1/bookings/", { body }));
  assert.deepEqual([held.status, held.amount_due, held.currency], ["held", 3600, "EUR"]);
  const ofBooking = { params: { path: { booking_id: held.id } } };
  const extended = unwrap(await program.POST("/api/v1/bookings/{booking_id}/extend", ofBooking));
  assert.ok(held.held_until && extended.held_until && extended.held_until > held.held_until);

  const waiting = booked(await program.POST("/api/v1/bookings/", { body }));
  assert.deepEqual([waiting.status, waiting.position, waiting.tickets_ahead], ["waitlisted", 1, 0]);
  assert.deepEqual(unwrap(await organizer.GET("/api/v1/events/{event_id}/waiting-list", ofEvent)), [waiting]);

  const pay = (amount: number) =>
    program.POST("/api/v1/bookings/{booking_id}/confirm", {
      ...ofBooking,
      body: { payment: { provider: "stripe", reference: `${held.id}-${amount}`, amount, currency: "EUR" } },
    });
  assert.equal(codeOf(await pay(1)), "payment-mismatch");
  const confirmed = unwrap(await pay(3600));
  assert.deepEqual([confirmed.status, confirmed.refund_due], ["confirmed", true]);
  const payments = unwrap(await organizer.GET("/api/v1/events/{event_id}/payments", ofEvent));
  const refunds = payments.map(({ refusal, amount_to_refund }) => [refusal, amount_to_refund]);
  assert.deepEqual(refunds, [["payment_mismatch", 1], [null, 0]]);
}

/** Log out. The token is then rejected. */
async function logOut(user: Api, booking: Booking): Promise<void> {
  assert.equal(unwrap(await user.GET("/api/v1/users/me")).id, booking.user_id);
  assert.equal((await user.POST("/api/v1/auth/logout")).response.status, 204);
  assert.equal(codeOf(await user.GET("/api/v1/users/me")), "unauthenticated");
}

/** Run all steps and print the booking's reference. */
async function main(url: string, organizerEmail: string, userEmail: string): Promise<void> {
  const organizer = await signUpAndLogIn(url, organizerEmail, true);
  const user = await signUpAndLogIn(url, userEmail, false);
  const event = await createAndListEvent(organizer);
  const booking = await book(user, event);
  await cancel(organizer, user, booking);
  await bookWithKey(url, organizer, event);
  await logOut(user, booking);
  console.log(booking.reference);
}

const [url, organizerEmail, userEmail] = process.argv.slice(2);
assert.ok(url && organizerEmail && userEmail);
await main(url, organizerEmail, userEmail);
