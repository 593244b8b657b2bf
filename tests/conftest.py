"""The databases that any test may ask for by name; see `tests.databases`."""

from __future__ import annotations

from tests.databases import shared_postgres, store, store_url

__all__ = ["shared_postgres", "store", "store_url"]
