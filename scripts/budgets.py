"""How many lines each part may have: `scripts/budgets.toml` is read and lowered, and its raises are checked.

`scripts/scatter.py` counts. This needs nothing but Python, as the hook of commits runs without `.venv`, too.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("budgets.toml")
SLACK = 100
"""A part that is so far below its budget has its budget lowered."""
PRODUCT = "product"
"""The sum of the parts that are no `BESIDE`."""
BESIDE = ("bench", "console pages", "fakes", "mutations", "scripts", "tests")
_STEP, _LARGE_STEP = 10, 100


class Raise(NamedTuple):
    """So many lines more, and what a user can do now. `commit` is the subject of the commit that raises."""

    lines: int
    why: str
    commit: str
    version: str


class Budget(NamedTuple):
    """The most lines of a part, with all that it was raised by."""

    lines: int
    raised: tuple[Raise, ...] = ()


Budgets = Mapping[str, Budget]


def read_budgets(text: str) -> dict[str, Budget]:
    parts = tomllib.loads(text)
    return {
        name: Budget(part["lines"], tuple(Raise(**each) for each in part.get("raised", ())))
        for name, part in parts.items()
    }


def toml_of(budgets: Budgets, head: str) -> str:
    """Return the file's text. `head` is the comment that it begins with."""
    lines = [head]
    for name, budget in sorted(budgets.items(), key=lambda each: (each[0] != PRODUCT, each[0])):
        key = name if re.fullmatch(r"\w+", name) else f'"{name}"'
        lines.append(f"{key}.lines = {budget.lines}\n")
        if budget.raised:
            entries = (f"    {{{', '.join(_pairs_of(each))}}},\n" for each in budget.raised)
            lines.append(f"{key}.raised = [\n{''.join(entries)}]\n")
    return "".join(lines)


def _pairs_of(entry: Raise) -> Iterator[str]:
    for key, value in entry._asdict().items():
        yield f"{key} = {json.dumps(value, ensure_ascii=False)}"


def head_of(text: str) -> str:
    """Return the comment that the file begins with."""
    found = re.match(r"(#.*\n|\n)*", text)
    return found[0] if found else ""


def over_budget(budgets: Budgets, lines: Mapping[str, int]) -> Iterator[str]:
    """Yield what is wrong with the lines of the parts, as sentences that say what to do."""
    for name in sorted({*budgets, *lines}):
        has, most = lines.get(name, 0), budgets.get(name, Budget(0)).lines
        if has > most:
            yield (
                f"{name} has {has:,} lines, its budget is {most:,}: take lines away, or raise it in"
                f" scripts/budgets.toml by an entry of `raised` that says what a user can do now"
            )
        elif has < most - SLACK or name not in lines:
            yield (
                f"{name} has {has:,} lines, its budget in scripts/budgets.toml is {most:,}:"
                f" lower it by python -m scripts.scatter --save"
            )


def sum_of_budgets(budgets: Budgets) -> int:
    """Return the most lines that the product may have."""
    return sum_of_lines({name: budget.lines for name, budget in budgets.items()})


def sum_of_lines(lines: Mapping[str, int]) -> int:
    """Return the lines of all parts of the product."""
    return sum(each for name, each in lines.items() if name not in (PRODUCT, *BESIDE))


def lowered(budgets: Budgets, lines: Mapping[str, int], *, is_anew: bool = False) -> dict[str, Budget]:
    """Return the budgets for these lines: none is higher than before, unless `is_anew`."""
    found = {name: _lowered(budgets.get(name), name, has, is_anew) for name, has in lines.items()}
    product = _lowered(budgets.get(PRODUCT), PRODUCT, sum_of_budgets(found), is_anew)
    return {**found, PRODUCT: product}


def _lowered(budget: Budget | None, name: str, lines: int, is_anew: bool) -> Budget:
    step = _LARGE_STEP if name in (PRODUCT, *BESIDE) else _STEP
    most = -(-lines // step) * step
    if budget is None:
        return Budget(most)
    return budget._replace(lines=most if is_anew else min(budget.lines, most))


def unexplained(
    before: Budgets, after: Budgets, subject: str, body: str, moved_to: Iterable[str]
) -> Iterator[str]:
    """Yield what is wrong with the raises of one commit. `moved_to` are the files that it has moved there.

    A part may also grow by what others lose, if files have moved into its folder.
    """
    parts = (name for name in before if name not in (PRODUCT, *BESIDE))
    falls = sum(max(0, before[name].lines - after.get(name, Budget(0)).lines) for name in parts)
    targets = tuple(moved_to)
    moved: dict[str, int] = {}
    for name, budget in after.items():
        old = before.get(name, Budget(0))
        new = [each for each in budget.raised if each not in old.raised]
        yield from (fault for each in new for fault in _faults_of(each, subject, body))
        grown = budget.lines - old.lines - sum(each.lines for each in new)
        if grown > 0 and any(file.startswith(_folder_of(name)) for file in targets):
            moved[name] = grown
        elif grown > 0:
            yield f"scripts/budgets.toml: no new entry of `raised` explains {grown} lines more of {name}"
    if sum(moved.values()) > falls:
        yield (
            f"scripts/budgets.toml: {', '.join(moved)} grow by {sum(moved.values())} lines, more than the"
            f" {falls} that other parts lose: a new entry of `raised` explains the difference"
        )


def _folder_of(name: str) -> str:
    return f"proxy/{name}/" if name.startswith("features/") else f"{name}/"


def _faults_of(entry: Raise, subject: str, body: str) -> Iterator[str]:
    if _words(entry.why) not in _words(body):
        yield f"the body has to say why scripts/budgets.toml is raised, in its words: {entry.why}"
    if entry.commit != subject:
        yield f"scripts/budgets.toml: the entry's `commit` is the subject of this one: {subject}"


def _words(text: str) -> str:
    return " ".join(text.split())


def raises_by_version(budgets: Budgets) -> str:
    """Return a table of all raises, the newest version first."""
    rows: dict[str, list[tuple[str, Raise]]] = {}
    for name, budget in budgets.items():
        for each in budget.raised:
            rows.setdefault(each.version, []).append((name, each))
    newest = sorted(rows, key=lambda version: [*map(int, version.split("."))], reverse=True)
    return "".join(
        f"raised in {version}: {sum(each.lines for _, each in rows[version])} lines\n"
        + "".join(f"  {name:24}{each.lines:6}  {each.why}\n" for name, each in rows[version])
        for version in newest
    )
