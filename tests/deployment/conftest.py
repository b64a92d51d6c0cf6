"""The service as compose.yaml runs it, on this machine: from the checkout, and from what the Dockerfile makes of it."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bookings_api.local_stack.processes import ROOT
from tests.deployment import dockerfile
from tests.deployment.site import Site, Tree


@pytest.fixture(scope="package", params=["checkout", "image"])
def tree(request: pytest.FixtureRequest) -> Iterator[Tree]:
    """What the processes run from."""
    if request.param == "checkout":
        yield Tree(ROOT, {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}, user=None)
        return
    # pytest's own directories are closed to the account of the image
    root = Path(tempfile.mkdtemp(prefix="bookings-image-"))
    try:
        root.chmod(0o755)
        image = dockerfile.Image(root)
        image.build()
        yield Tree(image.directory, image.environment, user=dockerfile.user())
    finally:
        shutil.rmtree(root)


@pytest.fixture(scope="package")
def site(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """All services of compose.yaml that this machine has the programs for."""
    with Site(tree, tmp_path_factory.mktemp("compose")) as site:
        yield site
