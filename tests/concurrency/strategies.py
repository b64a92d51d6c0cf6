"""Random events and orders."""

from hypothesis import strategies as st

from tests.concurrency.expected import LIMIT, Counts, Order, Terms, types_in

# The maximum capacity of an event, after it was enlarged
MOST = 8

# Enough for short holds to end, and for all holds
MINUTES = st.sampled_from([15, 40])
USERS = st.integers(min_value=0, max_value=2)
# Some parties get tickets, and others have to wait.
CAPACITIES = st.integers(min_value=2, max_value=MOST - 3)
FRONT_CAPACITIES = st.integers(min_value=1, max_value=3)
# With one more than allowed per booking, so the limit is exercised
COUNTS = st.sampled_from([(1, 0), (2, 0), (0, 1), (0, 2), (1, 1), (3, 0), (2, 1), (0, 3), (LIMIT, 1)])


TERMS = st.builds(
    Terms,
    prices=st.sampled_from([(0, 0), (0, 700), (500, 500)]),
    person_limit=st.sampled_from([None, LIMIT - 1, LIMIT]),
    has_waiting_list=st.sampled_from([True, True, True, False]),
    is_strict=st.booleans(),
    offer_minutes=st.sampled_from([None, 20]),
)


def _order(counts: Counts, hold_minutes: int | None, fewer: int | None, *, waitlist: bool) -> Order:
    """Return a valid order: only a party that would wait for tickets of one type can accept fewer."""
    accepts_fewer = waitlist and fewer is not None and len(types_in(counts)) == 1 and fewer <= sum(counts)
    return Order(counts, hold_minutes, waitlist, fewer if accepts_fewer else None)


ORDERS = st.builds(
    _order,
    counts=COUNTS,
    hold_minutes=st.sampled_from([None, 10]),
    waitlist=st.sampled_from([True, True, True, False]),
    fewer=st.sampled_from([None, 1, 2]),
)
# Orders with the number of the user who places them
NEWCOMERS = st.tuples(USERS, ORDERS)
SOME_ORDERS = st.lists(NEWCOMERS, min_size=2, max_size=5)
