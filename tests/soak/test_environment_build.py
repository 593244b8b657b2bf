"""The variants of torch that the short twin leaves out, each in an environment that is really built."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.engines.environments import Recipe
from tests.proxy.engines.test_environment_build import place, recipe
from tests.proxy.engines.test_environment_build import (
    test_another_variant_of_torch_than_was_asked_for_is_refused as assert_refused,
)

__all__ = ["place", "recipe"]


@pytest.mark.parametrize(
    ("asked", "cuda", "hip", "found"),
    [
        ("cpu", None, None, ""),
        ("cu126", "12.6", None, ""),
        ("cpu", "12.6", None, "cu126"),
        ("cu128", "12.6", None, "cu126"),
        ("rocm6.4", "12.6", None, "cu126"),
    ],
)
def test_another_variant_of_torch_than_was_asked_for_is_refused(
    place: Path, recipe: Recipe, asked: str, cuda: str | None, hip: str | None, found: str
) -> None:
    assert_refused(place, recipe, asked, cuda, hip, found)
