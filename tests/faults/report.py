"""Prints one table of all injected faults at the end of a run, across all pytest processes."""

from typing import Any

import pytest

PROPERTY = "fault"

_COLUMNS = {"emails": 7, "received": 9, "lost": 5, "twice": 6, "baseline": 9, "median": 8, "max ms": 8, "ratio": 7}
_HEAD = f"{'fault':<46}" + "".join(f"{name:>{width}}" for name, width in _COLUMNS.items())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for group in terminalreporter.stats.values() for report in group]
    found = (getattr(report, "user_properties", []) for report in reports if getattr(report, "when", "") == "teardown")
    rows = sorted((row for each in found for name, row in each if name == PROPERTY), key=lambda row: row["fault"])
    if rows:
        terminalreporter.section("faults: confirmation emails at the SMTP server, and booking latency")
        terminalreporter.line(_HEAD)
        for row in rows:
            terminalreporter.line(_line(row))


def _line(row: dict[str, Any]) -> str:
    counts = f"{row['expected']:>7}{row['received']:>9}{row['lost']:>5}{row['duplicates']:>6}"
    times = f"{row['baseline']:>9.1f}{row['median']:>8.1f}{row['max']:>8.1f}{row['ratio']:>7.2f}"
    return f"{row['fault']:<46}{counts}{times}"
