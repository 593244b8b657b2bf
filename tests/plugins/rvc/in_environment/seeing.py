"""What the networks are given, as a test sees it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.modules.module import register_module_forward_pre_hook


@contextmanager
def seen(see: Callable[[Any, Any], None]) -> Iterator[None]:
    """Show what each module is given, while the block runs."""
    hook = register_module_forward_pre_hook(lambda module, given: see(module, given))
    try:
        yield
    finally:
        hook.remove()
