"""Formats the results as Markdown."""

from typing import Any

_COLUMNS = "req/s | p50 ms | p99 ms | errors | app CPU ms | PostgreSQL CPU ms | compared with | req/s | p50 ms | ratio"


def table(results: list[dict[str, Any]], *, small: list[dict[str, Any]] | None = None) -> str:
    """Return a Markdown table. With `small`, the last column compares the rates with the rates for small tables."""
    lines = [f"| | {_COLUMNS} | goal | errors with 64 connections |" + (" relative to small tables |" if small else "")]
    lines.append("|---" * (lines[0].count("|") - 1) + "|")
    for number, result in enumerate(results):
        ours, theirs = result["ours"], result["theirs"]
        cells = [
            result["name"],
            f"{ours['rate']:.0f}",
            f"{ours['p50']:.1f}",
            f"{ours['p99']:.1f}",
            str(ours["errors"]),
            f"{ours['app_cpu']:.2f}",
            f"{ours['postgres_cpu']:.2f}",
            result["compared_with"],
            f"{theirs['rate']:.0f}",
            f"{theirs['p50']:.1f}",
            f"**{result['ratio']:.2f}**",
            f"{result['goal']:.2f}" if result["goal"] else "",
            str(result["with_64"]["errors"]),
            *([f"{ours['rate'] / small[number]['ours']['rate']:.2f}"] if small else []),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
