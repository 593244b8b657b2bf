"""What the code has that the reference lists: commands, error codes, log events and labels of metrics."""

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import typer.main

from policies import routing
from proxy import errors
from proxy.cli.main import make_app
from proxy.errors import InvalidRequest, NotAllowed, RequestFailed, UpstreamFailed
from proxy.speech_steps.check_totals import WrongSpeech
from scripts.found import found_in
from tests.docs.pages import ROOT

_ROOMS = ("proxy", "speech_engine")
_STATES = ("starting", "ready", "restarting", "waiting", "failed")
_COMMON = {"--config", "--json", "--wide"}
_NEAR_LINES = 20
_OF_ROUTING = (routing.NoCandidate.__name__, "_refusal")


class Command(NamedTuple):
    """A command without its common options. `usage` is what is typed."""

    usage: str
    what: str
    options: tuple[tuple[str, str], ...]


class Refusal(NamedTuple):
    """A failure that a client may see. `when` is what its message, or else its class, says."""

    code: str
    status: int
    type_: str
    when: str


class Logged(NamedTuple):
    """A line of the log. `about` is the first sentence of the module that writes it."""

    event: str
    level: str
    fields: tuple[str, ...]
    about: str


def commands() -> Iterator[Command]:
    for name, command in _leaves(typer.main.get_command(make_app()), "voxgate"):
        needed = [part for part in command.params if part.param_type_name == "argument"]
        usage = " ".join([name, *(_argument(part) for part in needed)])
        options = ((_option(part), part.help or "") for part in command.params if not _is_common(part))
        yield Command(usage, inspect.cleandoc(command.help or ""), tuple(options))


def refusals() -> Iterator[Refusal]:
    """From the classes, from the two tables for engines, and from every place that names a code."""
    classes: dict[str, type[RequestFailed]] = {cls.__name__: cls for cls in RequestFailed.__subclasses__()}
    classes[WrongSpeech.__name__] = WrongSpeech
    for cls in classes.values():
        yield _refusal(cls, cls.default_code, _doc(cls))
    for code, message in errors._ENGINE_FAULTS.values():
        yield _refusal(UpstreamFailed, code, message)
    for kind, (code, _param) in errors._REQUEST_FAULTS.items():
        yield _refusal(InvalidRequest, code, _doc(kind))
    for module in _modules("proxy", "policies"):
        for named, code, message, keywords in module["refused"]:
            if named in _OF_ROUTING:
                refusal = UpstreamFailed if "retry_after_s" in keywords else InvalidRequest
                yield _refusal(NotAllowed if "is_forbidden" in keywords else refusal, code, message)
            elif named in classes:
                yield _refusal(classes[named], code, message)


def logged() -> list[Logged]:
    """Each event and level once, with all its fields."""
    found: dict[tuple[str, str], Logged] = {}
    for line in _logged():
        known = found.get((line.event, line.level), line)
        fields = tuple(dict.fromkeys((*known.fields, *line.fields)))
        found[line.event, line.level] = known._replace(fields=fields)
    return sorted(found.values())


def labels() -> dict[str, tuple[str, ...]]:
    """The labels of each metric that is declared with its name and a list of them."""
    return {name: tuple(labels) for module in _modules("proxy") for name, labels in module["labels"]}


def libraries() -> list[tuple[str, str, bool]]:
    """Each dependency, the reason behind it in pyproject.toml, and whether only the tests need it."""
    project = (ROOT / "pyproject.toml").read_text().partition("\n[project]")[2].partition("\n[tool.")[0]
    tests = project.index("\ntest = [")
    rows = re.finditer(r'"([\w-]+)(?:\[\w+\])?[<>=~][^"]*"(?:,|\])(?:[ ]+# (.+))?$', project, re.MULTILINE)
    return sorted((row[1], row[2] or "", row.start() > tests) for row in rows)


def sentence(text: str) -> str:
    """The first sentence of a docstring, on one line."""
    line = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.?!]) (?=[A-Z`])", line)[0]


def _leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield (name, command)
        return
    if command.invoke_without_command:
        yield (name, command)
    for part, each in inner.items():
        yield from _leaves(each, f"{name} {part}")


def _is_common(part: Any) -> bool:
    return bool(_COMMON & {*part.opts, *part.secondary_opts})


def _argument(part: Any) -> str:
    name = (part.metavar or part.name).upper().strip("[]").removesuffix("...")
    dots = "…" if part.nargs == -1 else ""
    return f"{name}{dots}" if part.required else f"[{name}{dots}]"


def _option(part: Any) -> str:
    if part.param_type_name == "argument":
        return _argument(part).strip("[]…")
    return ", ".join([*part.opts, *part.secondary_opts])


def _refusal(cls: type[RequestFailed], code: str, when: str) -> Refusal:
    return Refusal(code, cls.status, cls.kind, when)


def _doc(cls: type) -> str:
    """What a class says of itself, without the status that it begins with."""
    return re.sub(r"^\d+: (\w)", lambda match: match[1].upper(), sentence(cls.__dict__.get("__doc__") or ""))


def _logged() -> Iterator[Logged]:
    """The children's states are put together at run time."""
    for module in _modules(*_ROOMS):
        for event, level, fields in module["logged"]:
            yield Logged(event, level, tuple(fields), module["about"])
    for state in _STATES:
        level = "info" if state in _STATES[:2] else "warning"
        yield Logged(f"child.state.{state}", level, (), "Workers and hosts, as their supervisor sees them.")


def _modules(*rooms: str) -> Iterator[dict[str, Any]]:
    """What the files of these rooms have, in the order of their paths."""
    for room in rooms:
        yield from (facts for file, facts in _all_facts().items() if file.startswith(f"{room}/"))


@cache
def _all_facts() -> dict[str, dict[str, Any]]:
    files = [file for room in ("policies", *_ROOMS) for file in sorted((ROOT / room).rglob("*.py"))]
    return found_in({str(file.relative_to(ROOT)): file.read_text() for file in files}, _facts)


def _facts(text: str) -> dict[str, Any]:
    """What a file logs, refuses and counts. `about` is the first sentence of its docstring."""
    tree = ast.parse(text)
    nodes = [*ast.walk(tree)]
    assigned = [node for node in nodes if isinstance(node, ast.Assign)]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return {
        "about": sentence(ast.get_docstring(tree) or ""),
        "logged": [*filter(None, map(_logged_by, calls))],
        "labels": [*filter(None, map(_labels_of, calls))],
        "refused": [*filter(None, (_refused_by(call, assigned) for call in calls))],
    }


def _logged_by(call: ast.Call) -> tuple[str, str, list[str]] | None:
    level = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if level in ("info", "warning", "error") and call.args and isinstance(call.args[0], ast.Constant):
        return str(call.args[0].value), level, [keyword.arg for keyword in call.keywords if keyword.arg]
    return None


def _labels_of(call: ast.Call) -> tuple[str, list[str]] | None:
    texts = [each.value for each in call.args if isinstance(each, ast.Constant)]
    lists = [each for each in call.args if isinstance(each, (ast.List, ast.Tuple))]
    if lists and texts and str(texts[0]).startswith("voxgate_"):
        return str(texts[0]), [_constant(each) for each in lists[0].elts]
    return None


def _refused_by(call: ast.Call, assigned: Sequence[ast.Assign]) -> tuple[str, str, str, list[str]] | None:
    """Return the name that is called, the code, the message, and the names of the other arguments."""
    named = call.func.id if isinstance(call.func, ast.Name) else ""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    if named in _OF_ROUTING and len(call.args) > 1 and isinstance(call.args[1], ast.Constant):
        return named, _constant(call.args[1]), _text_of(call.args[2], assigned), [*keywords]
    if named and isinstance(code := keywords.get("code"), ast.Constant):
        return named, str(code.value), _text_of(call.args[0], assigned) if call.args else "", [*keywords]
    return None


def _constant(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    return str(node.value)


def _text_of(node: ast.expr, assigned: Sequence[ast.Assign]) -> str:
    """A message as it is written in the code, with `…` for each value; nothing if it is made elsewhere.

    A name stands for what was assigned to it a few lines before.
    """
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part, ()) or "…" for part in node.values)
    if isinstance(node, ast.Name):
        near = (each for each in assigned if 0 < node.lineno - each.lineno <= _NEAR_LINES)
        before = [each for each in near if _is_of(each, node.id)]
        return _text_of(max(before, key=lambda each: each.lineno).value, ()) if before else ""
    return ""


def _is_of(assign: ast.Assign, name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in assign.targets)
