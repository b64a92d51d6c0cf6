"""`openapi.json` in the root matches the served document and passes the linter."""

import json
import re
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.documented import DOCUMENT, FILE
from tests.node.packages import node_modules, run

RULES = Path(__file__).with_name("spectral.yaml")

# The command contacts no server, so any settings will do.
COMMAND = "ENV_FILE=.env.example SECRET_KEY=a-secret-that-signs-nothing-here .venv/bin/flask openapi write openapi.json"


def test_the_file_matches_the_output_of_its_command(tmp_path: Path) -> None:
    written = tmp_path / FILE.name
    command = COMMAND.replace(f" {FILE.name}", f" {written}")

    subprocess.run(command, shell=True, cwd=FILE.parent, env={"LANG": "C.UTF-8"}, check=True)  # noqa: S602 - a shell command, as documented

    assert written.read_text() == FILE.read_text(), f"the interface has changed; run: {COMMAND}"


def test_the_file_matches_the_served_document(client: FlaskClient) -> None:
    assert client.get("/api/v1/openapi.json").json == DOCUMENT, f"the interface has changed; run: {COMMAND}"


def _lint(document: dict[str, Any], directory: Path) -> str:
    """Spectral's output; raises AssertionError with its findings."""
    path = directory / "openapi.json"
    path.write_text(json.dumps(document))
    command = ["spectral", "lint", "--fail-severity=hint", f"--ruleset={RULES}", str(path)]
    return run(*command, cwd=node_modules().parent)


def test_spectral_reports_nothing(tmp_path: Path) -> None:
    assert "No results" in _lint(DOCUMENT, tmp_path)


def test_each_custom_rule_finds_its_violation(tmp_path: Path) -> None:
    document = deepcopy(DOCUMENT)
    paths, components = document["paths"], document["components"]
    signup = paths["/api/v1/auth/signup"]["post"]
    created = signup["responses"]["201"]
    body = signup["requestBody"]["content"]["application/json"]
    [sold_out] = [response for name, response in components["responses"].items() if name.endswith("external-id-taken")]
    del signup["summary"]  # operation-summary
    del signup["security"]  # operation-security
    del components["headers"]["ETag"]["description"]  # header-description
    created["description"] = ""  # response-description
    del components["schemas"]["Event"]["description"]  # schema-description
    del body["example"]  # body-example
    body["schema"] = {"type": "object", "properties": {}}  # named-objects
    components["schemas"]["User"]["properties"]["role"] = {"type": "string", "enum": ["organizer"]}  # named-enums
    signup["responses"]["409"] = deepcopy(sold_out)  # shared-problems
    del sold_out["content"]["application/problem+json"]["schema"]["properties"]  # problem-codes
    components["responses"]["500-internal-error"]["content"] = {"text/plain": {}}  # problems-only

    with pytest.raises(AssertionError) as findings:
        _lint(document, tmp_path)

    rules = RULES.read_text().partition("\nrules:\n")[2]
    custom = set(re.findall(r"^  ([\w-]+):$", rules, re.MULTILINE))
    assert custom
    assert {rule for rule in custom if rule not in str(findings.value)} == set()
