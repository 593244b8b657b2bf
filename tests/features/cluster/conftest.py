"""The sites of the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Postgres
from tests.features.cluster.rig import Site


@pytest.fixture
def site(shared_postgres: Postgres, tmp_path: Path) -> Iterator[Site]:
    """A database with empty tables."""
    with shared_postgres.lent_schema() as schema:
        yield Site(tmp_path, shared_postgres.url(search_path=schema))


@pytest.fixture
def new_site(shared_postgres: Postgres, tmp_path: Path) -> Site:
    """A database without tables."""
    return Site(tmp_path, shared_postgres.url(search_path=shared_postgres.new_schema()))
