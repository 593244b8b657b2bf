"""structlog, imported without rich where a process of ours imports it first.

structlog takes rich along wherever that is installed, for tracebacks with the values of variables, which
our logs never show. It would be 0.07 s of CPU time in the start of each process, and 4 MB.
"""

from __future__ import annotations

import sys

if "structlog" in sys.modules or "rich" in sys.modules:
    import structlog as structlog
else:
    # Python's own way to say that a module cannot be imported.
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog as structlog
    finally:
        del sys.modules["rich"]
