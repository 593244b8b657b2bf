"""Fixtures that open something for a test, and close it afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from inspect import Parameter, Signature, isasyncgenfunction, unwrap
from typing import Any, Literal

import pytest

Scope = Literal["function", "module"]


def opened(lend: Callable[..., Any], *fixtures: str, scope: Scope = "function", **options: Any) -> Any:
    """A fixture: what the context manager `lend` yields. `lend` gets the values of these fixtures, and the
    options."""

    async def enter(**values: Any) -> AsyncIterator[Any]:
        async with lend(*values.values(), **options) as lent:
            yield lent

    def enter_at_once(**values: Any) -> Iterator[Any]:
        with lend(*values.values(), **options) as lent:
            yield lent

    fixture: Any = enter if isasyncgenfunction(unwrap(lend)) else enter_at_once
    fixture.__signature__ = Signature([Parameter(name, Parameter.KEYWORD_ONLY) for name in fixtures])
    return pytest.fixture(scope=scope)(fixture)
