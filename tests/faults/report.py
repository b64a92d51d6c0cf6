"""One table of all faults at the end of a run, from whichever of its processes they were tried in."""

from typing import Any

import pytest

PROPERTY = "fault"

_HEAD = f"{'fault':<52}{'mails':>6}{'recvd':>6}{'lost':>5}{'dupl.':>6}{'calm':>7}{'median':>8}{'max ms':>8}{'ratio':>7}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each fault did to mails and to the latency of bookings."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    found = (getattr(report, "user_properties", []) for report in reports if getattr(report, "when", "") == "teardown")
    rows = sorted((row for each in found for name, row in each if name == PROPERTY), key=lambda row: row["fault"])
    if rows:
        terminalreporter.section("faults: confirmation mails at the SMTP server, and latency of bookings")
        terminalreporter.line(_HEAD)
        for row in rows:
            terminalreporter.line(_line(row))


def _line(row: dict[str, Any]) -> str:
    counts = f"{row['expected']:>6}{row['received']:>6}{row['lost']:>5}{row['duplicates']:>6}"
    times = f"{row['calm']:>7.1f}{row['median']:>8.1f}{row['max']:>8.1f}{row['ratio']:>7.2f}"
    return f"{row['fault']:<52}{counts}{times}"
