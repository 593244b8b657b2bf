"""The shape of the code itself: sizes, seams and bans that no linter knows."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxy

ROOT = Path(__file__).parent.parent
PRODUCT = ("proxy", "policies", "speech_engine", "plugins", "fakes", "bench", "deploy", "examples", "scripts")
MOST_LINES = 300
MOST_FUNCTION_LINES = 60

EXCEPTIONS: dict[str, str] = {}
"""`path` or `path:function` → why it may be longer. Empty, and better so."""

HOOK_CALLERS = {"proxy/engines/registry.py"}
"""Hooks declare, objects work. A second caller would meet the faults of all plugins at once."""

LEAST_LINES = 60
SHORT = {
    "proxy/telemetry/background.py": "the one seam of background tasks",
    "policies": "a rule of its own, with its table of cases beside it in tests/policies",
    "proxy/__main__.py": "the console script, which must load where the rest cannot",
    "proxy/access/dev_key.py": "one job: the key of `make serve`",
    "proxy/access/request_classes.py": "a table of limits, and who is counted",
    "proxy/access/usage_throttle.py": "one limit that no plan has",
    "proxy/access/windows.py": "an interface",
    "proxy/api_admin/marks.py": "the operator's way to one handler",
    "proxy/audio/fade.py": "one step of the sound, which needs no large library",
    "proxy/audio/libav.py": "what the encoder and the speed step share",
    "proxy/audio/libraries.py": "when the large libraries are loaded",
    "proxy/audio/recordings/account_turns.py": "turns, which know nothing of what they are for",
    "proxy/audio/recordings/job_confinement.py": "what all readers of strangers' files have in common",
    "proxy/audio/recordings/piped_process.py": "how decoding, searching and signing start their processes",
    "proxy/audio/resample.py": "one step of the sound",
    "proxy/audio/silence.py": "what needs no large library",
    "proxy/audio/steps.py": "an interface",
    "proxy/cli/limit_options.py": "made of the table of limits",
    "proxy/config/consent.py": "one section",
    "proxy/config/credits.py": "numbers of credits at every edge, asked from four rooms",
    "proxy/config/lexicons.py": "the reader of one section",
    "proxy/config/upstream.py": "the reader of one section",
    "proxy/api/manifests.py": "one path",
    "proxy/diagnosis/certificate_check.py": "one certificate",
    "proxy/provenance/manifest.py": "what a manifest says, in one place",
    "proxy/storage/manifests.py": "the queries of one table",
    "proxy/storage/clone_uses.py": "what speech tells of clones; their states have a page of their own",
    "proxy/voices/derived_things.py": "interfaces",
    "proxy/provenance/signing_process.py": "what one kind of such a process is asked",
    "proxy/provenance/resources.py": "what one room opens, for the page that wires a worker",
    "proxy/diagnosis/finding.py": "a value that all of diagnosis gives",
    "proxy/engines/plugin_instances.py": "one way to open a plugin, used by three rooms",
    "proxy/engines/provider_pace.py": "the clock of a key, which knows nothing of engines",
    "proxy/engines/sample_source.py": "an interface",
    "proxy/http/offered_body.py": "a way round what the parser cannot do",
    "proxy/kept/secret.py": "one file, made once",
    "proxy/api_admin/receipts.py": "one path of the operator",
    "proxy/provenance/clip_digest.py": "one value",
    "proxy/provenance/receipt_keys.py": "how the keys of one section are found",
    "proxy/speech/clip_facts.py": "what receipts need to know of a plan, and nothing else does",
    "proxy/speech/listening.py": "one rule, which needs the tally and the parts",
    "proxy/storage/costs.py": "the queries of one table",
    "proxy/storage/postgres_sql.py": "one translation, with its table of cases",
    "proxy/storage/retention.py": "one job of worker 0",
    "proxy/storage/shared_run.py": "used by both databases",
    "proxy/storage/rows.py": "what the queries of all tables share",
    "speech_engine": "an author imports one value, protocol or helper at a time",
}
"""Files, or folders of files, of fewer lines: each with the reason why it stands alone."""

_SEAM = re.compile(r"# noqa: BLE001 - \S")


def sources(*rooms: str) -> Iterator[tuple[str, str]]:
    for room in rooms:
        for file in sorted((ROOT / room).rglob("*.py")):
            if "__pycache__" not in file.parts:
                yield file.relative_to(ROOT).as_posix(), file.read_text()


def everything() -> dict[str, str]:
    return dict(sources(*PRODUCT, "tests"))


ALL = everything()
TREES = {path: ast.parse(text) for path, text in ALL.items()}
PRODUCT_FILES = {path: text for path, text in ALL.items() if not path.startswith("tests/")}


def test_there_is_something_to_look_at() -> None:
    assert {path.partition("/")[0] for path in ALL} >= {
        "proxy",
        "policies",
        "speech_engine",
        "plugins",
        "tests",
    }


def test_a_file_is_one_idea() -> None:
    lines = {path: text.count("\n") for path, text in PRODUCT_FILES.items()}
    assert not {path: n for path, n in lines.items() if n > MOST_LINES and path not in EXCEPTIONS}


def test_a_file_of_the_page_is_one_idea() -> None:
    files = [*(ROOT / "proxy/api/page").iterdir()]
    assert files
    assert not {file.name: n for file in files if (n := file.read_text().count("\n")) > MOST_LINES}


def test_a_file_is_not_cut_smaller_than_its_idea() -> None:
    short = {
        path
        for path, text in PRODUCT_FILES.items()
        if path.startswith(("proxy/", "policies/", "speech_engine/"))
        and not path.endswith("__init__.py")
        and text.count("\n") < LEAST_LINES
    }
    without_reason = {path for path in short if not {path, path.partition("/")[0]} & SHORT.keys()}
    assert not without_reason
    assert not {path for path in SHORT if path.endswith(".py") and path not in short}, "no longer short"


def test_a_public_class_has_a_name_of_its_own() -> None:
    places: dict[str, list[str]] = {}
    for path in PRODUCT_FILES:
        if path.startswith(("proxy/", "policies/", "speech_engine/")):
            for node in TREES[path].body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(path)
    assert not {name: paths for name, paths in places.items() if len(paths) > 1}


def test_the_server_has_few_loose_modules() -> None:
    loose = {path for path in PRODUCT_FILES if path.startswith("proxy/") and path.count("/") == 1}
    names = ("__init__", "__main__", "app", "errors")
    assert loose == {f"proxy/{name}.py" for name in names}


def test_a_function_fits_on_a_screen() -> None:
    lines = {
        f"{path}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in PRODUCT_FILES
        for node in ast.walk(TREES[path])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert not {name: n for name, n in lines.items() if n > MOST_FUNCTION_LINES and name not in EXCEPTIONS}


def test_a_module_says_what_it_is() -> None:
    assert not [path for path, text in ALL.items() if text.strip() and not ast.get_docstring(TREES[path])]


def test_hooks_are_called_in_one_file() -> None:
    callers = {
        path
        for path in PRODUCT_FILES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Attribute) and node.attr in ("hook", "subset_hook_caller")
    }
    assert callers == HOOK_CALLERS


def test_nothing_is_mocked() -> None:
    assert not [path for path, tree in TREES.items() if any(_is_mocked(node) for node in ast.walk(tree))]


def _is_mocked(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.startswith("unittest") for alias in node.names)
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("unittest", "mock"))


def test_a_handler_that_catches_everything_says_why() -> None:
    silent = []
    for path, text in ALL.items():
        lines = text.splitlines()
        silent += [
            f"{path}:{node.lineno}"
            for node in ast.walk(TREES[path])
            if isinstance(node, ast.ExceptHandler)
            and _catches_everything(node)
            and not _SEAM.search(lines[node.lineno - 1])
        ]
    assert not silent


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = [name.id for name in caught if isinstance(name, ast.Name)]
    # What is raised again is not swallowed.
    reraises = any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))
    return handler.type is None or "Exception" in names or ("BaseException" in names and not reraises)


def test_an_exception_to_the_sizes_is_still_needed() -> None:
    for name, reason in EXCEPTIONS.items():
        assert reason
        assert name.partition(":")[0] in PRODUCT_FILES


def test_one_version_everywhere() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == proxy.__version__
    changelog = ROOT / "CHANGELOG.md"
    if not changelog.exists():
        pytest.skip("there is no CHANGELOG.md yet")
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)", changelog.read_text(), re.MULTILINE)
    assert versions[0] == proxy.__version__
