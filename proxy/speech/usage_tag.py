"""Tags of requests: a client's own words, by which its usage is added up. They change no sound."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from proxy.errors import InvalidRequest

TAG_HEADER = "x-voxgate-tag"
TAG_PATTERN = r"^[A-Za-z0-9._:-]{1,64}\Z"
_WORDS = "1 to 64 letters of ASCII, digits, and . _ : -"
_IS_TAG = re.compile(TAG_PATTERN)

Tag = Annotated[str, Meta(pattern=TAG_PATTERN, max_length=64, description=_WORDS)]


def read_tag(values: Sequence[str], of_body: str | None = None) -> str:
    """Return the tag of a request by its header and its body, "" for none. Raises InvalidRequest, also if the
    two differ."""
    if not values:
        return of_body or ""
    if len(values) > 1 or not _IS_TAG.match(values[0]):
        raise InvalidRequest(
            f"Invalid header '{TAG_HEADER}': it must come once, with {_WORDS}.", param=TAG_HEADER
        )
    if of_body and of_body != values[0]:
        raise InvalidRequest(
            f"The header '{TAG_HEADER}' and the body's 'tag' differ; send one of them.", param="tag"
        )
    return values[0]


def query_tag(text: str | None) -> str | None:
    """Check the tag of a query. Raises InvalidRequest. An empty one finds what has no tag."""
    if text and not _IS_TAG.match(text):
        raise InvalidRequest(f"Invalid value for 'tag': it must have {_WORDS}.", param="tag")
    return text
