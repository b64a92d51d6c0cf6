"""Runs the Chromium of an npm package, with its own libraries and fonts, so it is the same on every machine."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.node.packages import create_once, node_modules, run

needs_chromium = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the npm package contains Chromium for x86-64 only"
)

# The package targets AWS Lambda, which has neither NSS nor fonts. It unpacks to TMPDIR.
_UNPACK = """
import { fileURLToPath } from "node:url";
import { inflate } from "@sparticuz/chromium";
const bin = fileURLToPath(new URL("../bin/", import.meta.resolve("@sparticuz/chromium")));
for (const archive of ["chromium.br", "al2023.tar.br", "fonts.tar.br"]) await inflate(bin + archive);
"""

# Replaces the package's configuration, which contains paths of AWS Lambda.
_FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir prefix="relative">fonts</dir></fontconfig>
"""

# Block all hosts but this one, so Chromium checks for no updates and resolves no names.
_ARGUMENTS = ["--disable-gpu", "--disable-quic", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

# In milliseconds. A machine that runs the whole suite may be slow.
LAUNCH_TIMEOUT = 120_000


def _unpacked() -> Path:
    """The directory with the `chromium` binary, `al2023/lib` and `fonts`."""
    project = node_modules().parent

    def unpack(directory: Path) -> None:
        unpack_here = ["env", f"TMPDIR={directory}", "node", "--input-type=module", "--eval", _UNPACK]
        run(*unpack_here, cwd=project)
        (directory / "fonts" / "fonts.conf").write_text(_FONTS)

    return create_once(project / "chromium", unpack)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Run a headless Chromium controlled by Playwright."""
    directory = _unpacked()
    environment: dict[str, str | float | bool] = {
        **os.environ,
        "LD_LIBRARY_PATH": str(directory / "al2023" / "lib"),
        "FONTCONFIG_PATH": str(directory / "fonts"),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=directory / "chromium", args=_ARGUMENTS, env=environment, timeout=LAUNCH_TIMEOUT
        )
        yield browser
        browser.close()
