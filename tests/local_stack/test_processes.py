"""Child processes end with their parent, with and without the help of the kernel."""

import os
import signal
import subprocess
import sys

import pytest

from bookings_api.local_stack import system_calls
from bookings_api.local_stack.processes import ROOT, Child
from tests.local_stack.running import in_sessions
from tests.polling import wait_until

PARENT = """
import sys, time
from bookings_api.local_stack import system_calls
from bookings_api.local_stack.processes import Child
system_calls.HAS_DEATH_SIGNAL = sys.argv[1] == "True"
children = [Child("shell", ["sh", "-c", "sleep 60 & wait"]) for _ in range(2)]
print(*(child.pid for child in children), flush=True)
time.sleep(60)
"""

each_way = pytest.mark.parametrize("has_death_signal", [True, False])


@each_way
def test_children_end_when_their_parent_is_killed(*, has_death_signal: bool) -> None:
    command = [sys.executable, "-c", PARENT, str(has_death_signal)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        children = set(map(int, parent.stdout.readline().split()))
        try:
            wait_until(lambda: len(in_sessions(children)) == (4 if has_death_signal else 6), seconds=10)
        finally:
            parent.kill()

    wait_until(lambda: not children & in_sessions(children), seconds=10)
    if not has_death_signal:
        wait_until(lambda: not in_sessions(children), seconds=10)
    for child in in_sessions(children):  # the kernel signals only the children themselves
        os.kill(child, signal.SIGKILL)


@each_way
def test_a_child_that_ends_leaves_no_process_in_its_session(
    monkeypatch: pytest.MonkeyPatch, *, has_death_signal: bool
) -> None:
    monkeypatch.setattr(system_calls, "HAS_DEATH_SIGNAL", has_death_signal)

    child = Child("shell", ["sh", "-c", "sleep 60 & exit"])
    child.wait()

    wait_until(lambda: not in_sessions({child.pid}), seconds=10)


def test_a_watched_child_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_calls, "HAS_DEATH_SIGNAL", False)
    child = Child("sleep", ["sleep", "60"])

    child.stop()

    assert child.exit_status == -signal.SIGTERM
    wait_until(lambda: not in_sessions({child.pid}), seconds=10)
