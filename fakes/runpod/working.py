"""A handler in place of a worker's image, in any of the forms that Runpod's own SDK takes."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

Handler = Callable[[dict[str, Any]], Any]
"""{"id", "input"} → the output, an awaitable of it, or an iterator of its parts."""

MOST_CHUNK_BYTES = 1024 * 1024


def echo(job: dict[str, Any]) -> Any:
    return {"said": job["input"]}


async def worked(handler: Handler, job: dict[str, Any]) -> AsyncIterator[tuple[Any, bool]]:
    """Yield each output, and whether it is a part of a stream.

    Raises what the handler raises, and ValueError if the worker says {"error": …} in place of an output.
    """
    made = handler(job)
    if isinstance(made, Awaitable):
        made = await made
    if hasattr(made, "__aiter__"):
        async for part in made:
            yield _checked(part), True
    elif inspect.isgenerator(made):
        for part in made:
            yield _checked(part), True
    else:
        if isinstance(made, dict) and "error" in made:
            raise ValueError(str(made["error"]))
        yield made, False


def _checked(part: Any) -> Any:
    if isinstance(part, dict) and "error" in part:
        raise ValueError(str(part["error"]))
    if len(msgspec.json.encode(part)) > MOST_CHUNK_BYTES:
        raise ValueError("a chunk is longer than 1 MB")
    return part
