"""The entry of the feature books in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from proxy.feature import AppContext, Feature, FeatureInstance


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.books.book_reader import BookReader
    from proxy.features.books.kind import BookKind
    from proxy.features.jobs.core.kind import JobKinds

    async with aclosing(BookReader()) as reader:
        kinds = context.find(JobKinds)
        kinds.add_kind(BookKind(kinds.files, reader))
        yield FeatureInstance(context)


FEATURE = Feature("books", _open)
