"""A table of examples is one test: each row of it is a subtest, so a failure names its row."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet

Test = Callable[..., Any]
Shown = Callable[[Any], object]
Row = tuple[str, dict[str, Any]]
"""The name of a row, and its values by parameter."""


def soak(*rows: Any) -> list[ParameterSet]:
    """Rows for `pytest.mark.parametrize` that only `make soak` runs. A tuple has a value for each name."""
    marks = pytest.mark.soak
    return [pytest.param(*(row if isinstance(row, tuple) else (row,)), marks=marks) for row in rows]


def each_row(
    names: str | Sequence[str],
    rows: Iterable[Any],
    ids: Iterable[Any] | Callable[[Any], object] | None = None,
) -> Callable[[Test], Test]:
    """Run a test once for each row. It takes what `pytest.mark.parametrize` takes, and is one case.

    A row has a `tmp_path` and a `monkeypatch` of its own, and finds `capsys` and `caplog` empty. Rows share
    all other fixtures. With two tables, a test runs for each pair of rows.
    """
    columns = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)

    def decorate(test: Test) -> Test:
        inner: list[Row] = getattr(test, "rows", [("", {})])
        outer = list(_rows(columns, list(rows), ids))
        product = [(f"{a} {b}".strip(), {**one, **other}) for a, one in outer for b, other in inner]
        return _over(product, getattr(test, "of_one_row", test))

    return decorate


def _rows(columns: list[str], rows: list[Any], ids: Any) -> Iterator[Row]:
    labels = ids if callable(ids) or ids is None else list(ids)
    for number, given in enumerate(rows):
        row = ParameterSet.extract_from(given, force_tuple=len(columns) == 1)
        assert not row.marks, "a row has no mark of its own"
        values = dict(zip(columns, row.values, strict=True))
        named = row.id or (labels[number] if isinstance(labels, list) else _words(row.values, labels))
        yield str(named)[:200], values


def _words(values: Iterable[object], shown: Shown | None) -> str:
    words = [(None if shown is None else shown(value), value) for value in values]
    return ", ".join(repr(value) if word is None else str(word) for word, value in words)


def _over(rows: list[Row], test: Test) -> Test:
    """The test of all rows. It asks for the fixtures that the test of one row asks for."""
    wanted = inspect.signature(test).parameters
    columns = {name for _, values in rows for name in values}
    fixtures = [parameter for name, parameter in wanted.items() if name not in columns]
    if "subtests" not in wanted:
        fixtures.append(inspect.Parameter("subtests", inspect.Parameter.KEYWORD_ONLY))

    @contextmanager
    def row(number: int, given: dict[str, Any]) -> Iterator[dict[str, Any]]:
        __tracebackhide__ = True
        name, values = rows[number]
        try:
            with pytest.MonkeyPatch.context() as patch:
                own = _own(given, number, patch)
                yield {key: value for key, value in own.items() if key in wanted} | values
        except BaseException:
            # pytest hears only of rows that fail: to report a row takes longer than most rows.
            with given["subtests"].test(name):
                raise

    @wraps(test)
    def run(**given: Any) -> None:
        for number in range(len(rows)):
            with row(number, given) as values:
                test(**values)

    @wraps(test)
    async def run_async(**given: Any) -> None:
        for number in range(len(rows)):
            with row(number, given) as values:
                await test(**values)

    whole: Any = run_async if inspect.iscoroutinefunction(test) else run
    whole.__signature__ = inspect.Signature(fixtures)
    whole.rows, whole.of_one_row = rows, test
    return whole  # type: ignore[no-any-return]  # a function with attributes


def _own(given: dict[str, Any], number: int, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The fixtures of one row."""
    own = dict(given)
    if "monkeypatch" in own:
        own["monkeypatch"] = patch
    if "tmp_path" in own:
        own["tmp_path"] = own["tmp_path"] / str(number)
        own["tmp_path"].mkdir()
    if "capsys" in own:
        own["capsys"].readouterr()
    if "caplog" in own:
        own["caplog"].clear()
    return own
