"""Redis only wakes workers: without it every booking is confirmed as fast as ever, and its mail goes out later."""

import pytest

from tests.faults.harness import Site, hung, kill
from tests.faults.trial import Post, Trial

# Twenty bookings that each wait for Redis take 10 s; twenty that do not, a fraction of one.
NONE_WAITED = 5
# Once Redis is back: a worker finds that out within 2 s, and beat has it look every 10 s.
MAIL_SECONDS = 15


def test_while_redis_is_stopped_bookings_go_on_and_their_mails_go_out_once_it_is_back(site: Site, trial: Trial) -> None:
    with trial.fault("Redis refused"):
        site.stop_valkey()
        trial.book(20)
        site.start_valkey()

    trial.await_delivery(seconds=MAIL_SECONDS)
    trial.book(10)
    trial.await_delivery(seconds=MAIL_SECONDS)
    assert trial.post() == Post(expected=40, duplicates=0)


def test_while_redis_hangs_no_request_waits_for_it_and_mails_go_out_once_it_answers(site: Site, trial: Trial) -> None:
    with trial.fault("Redis hung"), hung(site.valkey):
        trial.book(20)

    assert sum(trial.troubled) < NONE_WAITED
    trial.await_delivery(seconds=MAIL_SECONDS)
    trial.book(10)
    trial.await_delivery(seconds=MAIL_SECONDS)
    assert trial.post() == Post(expected=40, duplicates=0)


@pytest.mark.parametrize("because", ["full", "replica"])
def test_while_redis_takes_no_message_bookings_go_on_and_no_process_gives_up(
    because: str, site: Site, trial: Trial
) -> None:
    with trial.fault(f"Redis is {because}"), site.redis_refusing_writes(because=because):
        trial.book(20)

    trial.await_delivery(seconds=MAIL_SECONDS)
    trial.book(10)
    trial.await_delivery(seconds=MAIL_SECONDS)
    assert trial.post() == Post(expected=40, duplicates=0)
    assert (site.worker.exit_status, site.beat.exit_status) == (None, None)


def test_mails_whose_messages_redis_forgot_go_out_with_the_next_sweep(site: Site, trial: Trial) -> None:
    with trial.fault("Redis flushed"):
        kill(site.worker)  # or it might have taken a message already
        trial.book(20)
        site.flush_redis()
        site.restart_worker()

    trial.await_delivery()
    assert trial.post() == Post(expected=30, duplicates=0)
