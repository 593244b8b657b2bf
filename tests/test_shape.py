"""The shape of the code itself: sizes, seams and bans that no linter knows."""

import ast
import gc
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import proxy
from scripts.found import found_in

ROOT = Path(__file__).parent.parent
PRODUCT = ("proxy", "policies", "speech_engine", "plugins", "fakes", "bench", "deploy", "examples", "scripts")
MOST_LINES = 400
MOST_FUNCTION_LINES = 60

EXCEPTIONS: dict[str, str] = {}
"""`path` or `path:function` → why it may be longer. Empty, and better so."""

HOOK_CALLERS = {"proxy/engines/registry.py"}
"""Hooks declare, objects work. A second caller would meet the faults of all plugins at once."""

CIRCULAR = {"proxy.features.jobs"}
"""Folders whose files still import one another in a circle."""

_DOCSTRING = re.compile(r'(#.*\n|\s)*r?"""\s*\S')
_PUBLIC_CLASS = re.compile(r"^class ([A-Za-z]\w*)", re.MULTILINE)
_SRE: Any = import_module("re._parser")
_SEAM = re.compile(r"# noqa: BLE001 - \S")


def sources(*rooms: str) -> Iterator[tuple[str, str]]:
    for room in rooms:
        for file in sorted((ROOT / room).rglob("*.py")):
            if "__pycache__" not in file.parts:
                yield file.relative_to(ROOT).as_posix(), file.read_text()


@cache
def tree_of(text: str) -> ast.Module:
    """What Python reads in a text: each is read once for all tests of a process."""
    return ast.parse(text)


class Code(NamedTuple):
    """The texts of all files by path, and those of the product alone."""

    all: dict[str, str]
    product: dict[str, str]


@pytest.fixture(scope="module")
def code() -> Iterator[Code]:
    texts = dict(sources(*PRODUCT, "tests"))
    product = {path: text for path, text in texts.items() if not path.startswith("tests/")}
    gc.disable()  # it would walk through all trees, again and again, while the next is made
    yield Code(texts, product)
    gc.enable()


def having(texts: dict[str, str], *words: str) -> dict[str, str]:
    """Return the files with one of these words: what they have is looked for in no other."""
    return {path: text for path, text in texts.items() if any(word in text for word in words)}


def shown(found: dict[str, list[int]]) -> list[str]:
    return [f"{path}:{line}" for path, lines in found.items() for line in lines]


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All statements and handlers. Expressions, nine nodes of ten, hold none."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(node, field, ())


def test_there_is_something_to_look_at(code: Code) -> None:
    assert {path.partition("/")[0] for path in code.all} >= {
        "proxy",
        "policies",
        "speech_engine",
        "plugins",
        "tests",
    }


def test_a_file_is_one_idea(code: Code) -> None:
    lines = {path: text.count("\n") for path, text in code.product.items()}
    assert not {path: n for path, n in lines.items() if n > MOST_LINES and path not in EXCEPTIONS}


def test_a_file_of_the_console_is_one_idea() -> None:
    web = ROOT / "proxy/features/console/web"
    scripts = [file for file in web.rglob("*.js") if "vendor" not in file.parts]
    assert scripts
    lines = {file.name: file.read_text().count("\n") for file in scripts}
    assert not {name: n for name, n in lines.items() if n > 300}


def test_a_public_class_has_a_name_of_its_own(code: Code) -> None:
    places: dict[str, list[str]] = {}
    for path, text in code.product.items():
        if path.startswith(("proxy/", "policies/", "speech_engine/")):
            for name in _PUBLIC_CLASS.findall(text):
                places.setdefault(name, []).append(path)
    assert len(places) > 1000
    assert not {name: paths for name, paths in places.items() if len(paths) > 1}


def test_the_server_has_few_loose_modules(code: Code) -> None:
    loose = {path for path in code.product if path.startswith("proxy/") and path.count("/") == 1}
    names = ("__init__", "__main__", "app", "errors", "feature", "feature_list", "kernel", "supervisor_part")
    assert loose == {f"proxy/{name}.py" for name in names}


def test_imports_go_one_way_in_each_folder(code: Code) -> None:
    """The files and folders of a folder form no circle. Imports inside functions and for types count."""
    names = {path: path.removesuffix(".py").replace("/", ".") for path in code.product}
    modules = {*names.values(), *(name.removesuffix(".__init__") for name in names.values())}
    folders: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path, imports in found_in(code.product, _imports_in).items():
        for target in _imported(imports, modules):
            _draw(folders, names[path].split("."), target.split("."))
    assert {folder for folder, graph in folders.items() if _circle(graph)} <= CIRCULAR


def _imports_in(text: str) -> list[tuple[str, str]]:
    """Return each module that is imported with each name from it, or with ""."""
    found = []
    for node in statements(tree_of(text)):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


def _imported(imports: list[tuple[str, str]], modules: set[str]) -> Iterator[str]:
    for module, name in imports:
        if module in modules:
            yield full if (full := f"{module}.{name}") in modules else module


def _draw(folders: dict[str, dict[str, set[str]]], source: list[str], target: list[str]) -> None:
    """Add the arrow between two children of the deepest folder that has both modules."""
    depth = 0
    while depth < min(len(source) - 1, len(target)) and source[depth] == target[depth]:
        depth += 1
    end = target[depth] if depth < len(target) else "__init__"
    folders[".".join(source[:depth])][source[depth]].add(end)


def _circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_function_fits_on_a_screen(code: Code) -> None:
    found = found_in(code.product, _lines_of_functions)
    lines = {f"{path}:{name}": n for path, functions in found.items() for name, n in functions}
    assert len(lines) > 5000
    assert not {name: n for name, n in lines.items() if n > MOST_FUNCTION_LINES and name not in EXCEPTIONS}


def _lines_of_functions(text: str) -> list[tuple[str, int]]:
    return [
        (node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in statements(tree_of(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def test_a_module_says_what_it_is(code: Code) -> None:
    assert not [path for path, text in code.all.items() if text.strip() and not _DOCSTRING.match(text)]


def test_hooks_are_called_in_one_file(code: Code) -> None:
    found = found_in(having(code.product, "hook"), _hook_calls)
    assert {path for path, lines in found.items() if lines} == HOOK_CALLERS


def _hook_calls(text: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree_of(text))
        if isinstance(node, ast.Attribute) and node.attr in ("hook", "subset_hook_caller")
    ]


def test_nothing_is_mocked(code: Code) -> None:
    texts = having(code.all, "unittest", "mock")
    assert not [path for path, text in texts.items() if any(map(_is_mocked, statements(tree_of(text))))]


def _is_mocked(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.startswith("unittest") for alias in node.names)
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("unittest", "mock"))


def test_a_handler_that_catches_everything_says_why(code: Code) -> None:
    assert not shown(found_in(having(code.all, "except:", "Exception"), _silent_handlers))


def _silent_handlers(text: str) -> list[int]:
    lines = text.splitlines()
    return [
        node.lineno
        for node in statements(tree_of(text))
        if isinstance(node, ast.ExceptHandler)
        and _catches_everything(node)
        and not _SEAM.search(lines[node.lineno - 1])
    ]


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = [name.id for name in caught if isinstance(name, ast.Name)]
    # What is raised again is not swallowed.
    reraises = any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))
    return handler.type is None or "Exception" in names or ("BaseException" in names and not reraises)


def test_no_expression_repeats_a_repetition(code: Code) -> None:
    """`(a+)*` takes time that doubles with each letter. `(\\.a+)*`, with a separator, does not."""
    assert not shown(found_in(having(code.product, "re.compile"), _repeated_repetitions))


def _repeated_repetitions(text: str) -> list[int]:
    found = []
    for node in ast.walk(tree_of(text)):
        if isinstance(node, ast.Call) and _name(node.func) == "compile":
            first = node.args[0]
            if (
                isinstance(first, ast.Constant)
                and isinstance(first.value, str)
                and _repeats_a_repetition(_SRE.parse(first.value))
            ):
                found.append(node.lineno)
    return found


def _name(function: ast.expr) -> str:
    """What a called function is named, without what it belongs to."""
    return getattr(function, "attr", getattr(function, "id", ""))


def _repeats_a_repetition(expression: Any, is_repeated: bool = False) -> bool:
    for operator, value in expression:
        is_repeat = operator in (_SRE.MAX_REPEAT, _SRE.MIN_REPEAT)
        is_endless = is_repeat and value[1] == _SRE.MAXREPEAT
        if is_endless and is_repeated:
            return True
        if is_repeat:
            inner = is_repeated or (is_endless and not _begins_with_a_sign(value[2]))
            parts = [value[2]]
        else:
            inner = is_repeated
            parts = value[3:] if operator is _SRE.SUBPATTERN else value[1] if operator is _SRE.BRANCH else []
        if any(_repeats_a_repetition(part, inner) for part in parts):
            return True
    return False


def _begins_with_a_sign(expression: Any) -> bool:
    operator, value = expression[0]
    if operator is _SRE.SUBPATTERN:
        return _begins_with_a_sign(value[3])
    return operator in (_SRE.LITERAL, _SRE.IN)


def test_an_exception_to_the_sizes_is_still_needed(code: Code) -> None:
    for name, reason in EXCEPTIONS.items():
        assert reason
        assert name.partition(":")[0] in code.product


def test_one_version_everywhere() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == proxy.__version__
    changelog = ROOT / "CHANGELOG.md"
    if not changelog.exists():
        pytest.skip("there is no CHANGELOG.md yet")
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)", changelog.read_text(), re.MULTILINE)
    assert versions[0] == proxy.__version__


WAITING = "tests/waiting.py"
SIMULATED = "simulated_time"
_WAITS = ("until", "soon", "eventually", "wait_until")
_SLEEP = re.compile(r"sleep\(\s*[\d.]")
_CLOCK_WORDS = re.compile(r"retry_after_s|deadline_s|monotonic|perf_counter|\.time\(\)|elapsed|waited|took")
PAUSES = {
    "AGAIN_S", "DEATH_S", "FIRST_DELAY_S", "LEASE_CHECK_S", "LOOK_S", "PAUSE_S", "PROBE_S", "REFRESH_S",
    "RENEW_S", "RETRY_DELAY_S", "RETRY_S", "WAITS_S", "_BASE_S", "_CANCEL_WAIT_S",
    "_FOLLOW_EVERY_S", "_LOCK_AGAIN_S", "_LONGEST_PAUSE_S", "_RETRY_AFTER_S",
    "_LONGEST_WAIT_S", "_LOOK_EVERY_S", "_LOOK_S", "_NOTE_EVERY_S", "_PAUSE_S", "_POLL_S", "_RECEIPT_WAIT_S",
    "_SETTLES_S", "_SHORTEST_PAUSE_S", "_STARTING_CACHED_S", "_START_WAIT_S", "_STREAMS_WAIT_S", "_SWEEP_S",
}  # fmt: skip
"""How long something pauses before it goes on or gives way. No work must fit in: shorter fails no test."""
REAL_TIME = {
    "tests/clients/programs/python_sdk.py": "the program of a client",
    "tests/features/clones/test_doubts.py:wish_without_answer": "its provider never answers in this time",
    "tests/features/erasure/test_followers.py:_often": "the tests that need it have the marker",
    "tests/plugins/rvc/in_environment/voices_cases.py": "runs in the environment of an engine",
    "tests/proxy/engines/pitch_comparer.py": "a process that hangs until it is killed",
    "tests/proxy/engines/test_http1.py:_expect_place_back_from": "who leaves earlier has no place either",
    "tests/proxy/http/test_reader_watch.py:read": "the tests that need it are simulated",
    "tests/proxy/speech/test_leaving_late.py:speak": "the test that needs it is simulated",
}
"""`path` or `path:function` → why it leans on the time of this machine. This list only becomes shorter."""


def test_tests_wait_in_one_way(code: Code) -> None:
    words = (f"def {score}{name}(" for score in ("", "_") for name in _WAITS)
    own = [
        f"{path}:{node.name}"
        for path, text in having(code.all, *words).items()
        if path.startswith("tests/") and path != WAITING
        for node in ast.walk(tree_of(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.lstrip("_") in _WAITS
    ]
    assert not own, "tests/waiting.py has `until` and `soon`"


def test_no_test_leans_on_the_time_of_an_idle_machine(code: Code) -> None:
    """What has a deadline, a lease or a pace is `simulated`; what cannot be has the marker `clock`."""
    tests = {path: text for path, text in code.all.items() if path.startswith("tests/")}
    found: dict[str, list[str]] = {}
    for path, leaning in found_in(tests, _leaning).items():
        for function, line, why in leaning:
            found.setdefault(f"{path}:{function}", []).append(f"line {line}: {why}")
    excused = {name for name in found if {name, name.partition(":")[0]} & REAL_TIME.keys()}
    assert not {name: lines for name, lines in found.items() if name not in excused}
    needed = {key for key in REAL_TIME for name in found if key in (name, name.partition(":")[0])}
    assert REAL_TIME.keys() <= needed, "an exception that is not needed any more"


def _leaning(text: str) -> list[tuple[str, int, str]]:
    """Return each function that leans on time, with the line, and why."""
    tree = tree_of(text) if _may_lean(text) else None
    return [] if tree is None or _runs_by_a_clock(text, tree) else [*_of_real_time(tree, "")]


def _may_lean(text: str) -> bool:
    """To read all files takes seconds."""
    has_limit = "setattr(" in text and '_S"' in text
    return has_limit or ("approx(" in text and "abs=" in text) or bool(_SLEEP.search(text))


def _runs_by_a_clock(text: str, tree: ast.Module) -> bool:
    """Whether a whole file does: it hands its plays to the simulated clock, or has the marker."""
    imports = [
        node for node in tree.body if isinstance(node, ast.ImportFrom) and SIMULATED in ast.unparse(node)
    ]
    names = {alias.name for node in imports for alias in node.names}
    return bool(names - {"simulated"}) or "pytestmark = pytest.mark.clock" in text


def _of_real_time(tree: ast.AST, function: str) -> Iterator[tuple[str, int, str]]:
    for node in ast.iter_child_nodes(tree):
        name = function
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            marks = [ast.unparse(each) for each in node.decorator_list]
            if any(mark == "simulated" or mark.startswith("pytest.mark.clock") for mark in marks):
                continue
            name = function or node.name
        if (isinstance(node, (ast.Call, ast.Assert))) and (why := _leans_on_time(node)):
            yield name, node.lineno, why
        yield from _of_real_time(node, name)


def _leans_on_time(node: ast.Call | ast.Assert) -> str:
    if isinstance(node, ast.Assert):
        if not any(isinstance(each, ast.keyword) and each.arg == "abs" for each in ast.walk(node.test)):
            return ""
        said = ast.unparse(node.test)
        is_two_sided = "abs=" in said and "approx(" in said
        return "a two-sided assertion on a clock" if is_two_sided and _CLOCK_WORDS.search(said) else ""
    name = _name(node.func)
    values = [each.value for each in node.args if isinstance(each, ast.Constant)]
    numbers = [value for value in values if isinstance(value, float | int)]
    if name == "sleep":
        return f"a sleep of {numbers[0]} s" if numbers and numbers[0] >= 0.05 else ""
    limits = [value.rpartition(".")[2] for value in values if isinstance(value, str) and value.endswith("_S")]
    if name != "setattr" or not limits or limits[-1] in PAUSES:
        return ""
    return f"{limits[-1]} of {numbers[-1]} s" if numbers and 0 < numbers[-1] < 1 else ""
