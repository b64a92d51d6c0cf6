"""The documentation refers to existing tests and pages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_tests_named_in_the_documentation_exist(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text())

    missing = [f"{file}::{test}" for file, test in named if f"\ndef {test}(" not in (ROOT / file).read_text()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_relative_links_have_targets(page: Path) -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in target]

    missing = [target for target in targets if not (page.parent / target.split("#")[0]).exists()]
    assert missing == []


def test_the_readme_links_every_page() -> None:
    readme = (ROOT / "README.md").read_text()

    missing = [page.name for page in PAGES if page.name != "README.md" and f"{page.relative_to(ROOT)})" not in readme]
    assert missing == []
