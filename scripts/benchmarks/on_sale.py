"""Measures twelve readers and four buyers of the hot event, alone and together.

The share of a side is its rate together, divided by its rate alone. The sum of both shares is 1 if requests cost the
same in both cases. The sum is lower if reads and bookings make each other more expensive, and higher if a side alone
does not use all CPU time.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from scripts.benchmarks.loads import BUYING, Load
from scripts.benchmarks.measure import Figures, run_wrk
from scripts.benchmarks.service import Service

READERS, BUYERS = 12, 4
GOAL = 0.8

_COLUMNS = "readers alone /s | readers /s | p99 ms | buyers alone /s | buyers /s | p99 ms | shares | goal | errors"


@dataclass(frozen=True)
class Sale:
    """The results of a round: readers and buyers, alone and together."""

    readers_alone: Figures
    buyers_alone: Figures
    readers: Figures
    buyers: Figures

    @property
    def shares(self) -> float:
        """The sum of the readers' share and the buyers' share."""
        return self.readers.rate / self.readers_alone.rate + self.buyers.rate / self.buyers_alone.rate

    @property
    def errors(self) -> int:
        return sum(side["errors"] for side in asdict(self).values())


def measure_sale(service: Service, reading: Load, directory: Path, *, seconds: int) -> Sale:
    """Measure a round in which readers send the load `reading`. Each run takes `seconds`."""
    for side in ("readers", "buyers"):
        (directory / side).mkdir(exist_ok=True)

    def read() -> Figures:
        return run_wrk(service, reading, directory / "readers", seconds=seconds, connections=READERS)

    def buy() -> Figures:
        return run_wrk(service, BUYING, directory / "buyers", seconds=seconds, connections=BUYERS)

    readers_alone, buyers_alone = read(), buy()
    with ThreadPoolExecutor(2) as pool:
        reading_now, buying_now = pool.submit(read), pool.submit(buy)
        return Sale(readers_alone, buyers_alone, reading_now.result(), buying_now.result())


def sale_table(rounds: dict[str, list[Sale]]) -> str:
    """Return a Markdown table with the medians for each load of the readers."""
    lines = [f"| on sale | {_COLUMNS} |", "|---" * (_COLUMNS.count("|") + 2) + "|"]
    for name, sales in rounds.items():
        cells = [name]
        for side in ("readers", "buyers"):
            alone = Figures.median([getattr(sale, f"{side}_alone") for sale in sales])
            together = Figures.median([getattr(sale, side) for sale in sales])
            cells += f"{alone.rate:.0f}", f"{together.rate:.0f}", f"{together.p99:.1f}"
        shares = median(sale.shares for sale in sales)
        cells += f"**{shares:.2f}**", f"{GOAL:.2f}", str(sum(sale.errors for sale in sales))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
