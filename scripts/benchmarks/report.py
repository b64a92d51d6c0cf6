"""The results as a table for a terminal and a page, and as a chart of the ratios."""

from typing import Any
from xml.sax.saxutils import escape

_COLUMNS = "req/s | p50 ms | p99 ms | errors | app CPU ms | PostgreSQL CPU ms | compared with | req/s | p50 ms | ratio"


def table(results: list[dict[str, Any]], *, beside: list[dict[str, Any]] | None = None) -> str:
    """A Markdown table; `beside` are the results with small tables, of which the last column is the share."""
    lines = [f"| | {_COLUMNS} | goal | errors at 64 |" + (" of small |" if beside else "")]
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
            result["beside"],
            f"{theirs['rate']:.0f}",
            f"{theirs['p50']:.1f}",
            f"**{result['ratio']:.2f}**",
            f"{result['goal']:.2f}" if result["goal"] else "",
            str(result["at_64"]["errors"]),
            *([f"{ours['rate'] / beside[number]['ours']['rate']:.2f}"] if beside else []),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def chart(results: list[dict[str, Any]]) -> str:
    """An SVG of one bar for each ratio, with a mark where its goal is."""
    row, left, width = 34, 170, 420
    shown = [result for result in results if result["goal"]]
    longest = max([1.0, *(max(result["ratio"], result["goal"]) for result in shown)])
    bars = []
    for number, result in enumerate(shown):
        top, length = 40 + number * row, result["ratio"] / longest * width
        goal = left + result["goal"] / longest * width
        bars += [
            f'<text x="{left - 10}" y="{top + 15}" text-anchor="end">{escape(result["name"])}</text>',
            f'<rect x="{left}" y="{top}" width="{length:.0f}" height="20" fill="#3b6ea5"/>',
            f'<line x1="{goal:.0f}" x2="{goal:.0f}" y1="{top - 3}" y2="{top + 23}" stroke="#c0392b" stroke-width="2"/>',
            f'<text x="{left + length + 6:.0f}" y="{top + 15}">{result["ratio"]:.2f}</text>',
        ]
    height = 50 + len(shown) * row
    font = 'font-family="sans-serif" font-size="13"'
    title = "requests per second: ratio to raw PostgreSQL or a bare Flask route (red: the goal)"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 60} {height}" {font}>',
            f'<rect width="100%" height="{height}" fill="white"/>',
            f'<text x="10" y="20">{title}</text>',
            *bars,
            "</svg>\n",
        ]
    )
