"""Fixtures that run compose.yaml without containers, from the checkout and from the files the Dockerfile builds."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bookings_api.local_stack.processes import ROOT
from tests.deployment import dockerfile
from tests.deployment.project import ComposeProject, Tree


@pytest.fixture(scope="package", params=["checkout", "image"])
def tree(request: pytest.FixtureRequest) -> Iterator[Tree]:
    """The files that the processes run from."""
    if request.param == "checkout":
        yield Tree(ROOT, {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}, user=None)
        return
    # The image's user has no access to pytest's temporary directories.
    root = Path(tempfile.mkdtemp(prefix="bookings-image-"))
    try:
        root.chmod(0o755)
        image = dockerfile.Image(root)
        image.build()
        yield Tree(image.directory, image.environment, user=dockerfile.user())
    finally:
        shutil.rmtree(root)


@pytest.fixture(scope="package")
def project(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProject]:
    """All services of compose.yaml except nginx and the mail catcher."""
    with ComposeProject(tree, tmp_path_factory.mktemp("compose")) as project:
        yield project
