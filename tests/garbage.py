"""What an answer leaves in memory until a collection of garbage."""

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def garbage(found: Counter[str]) -> Iterator[None]:
    """Count what only a collection would free, by its class, of this server's own classes."""
    gc.collect()
    gc.disable()
    # What other tests have left is not looked through again, here or later: it may take seconds.
    gc.freeze()
    try:
        yield
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found.update(type(each).__name__ for each in gc.garbage if type(each).__module__.startswith("proxy."))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
