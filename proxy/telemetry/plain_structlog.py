"""Imports structlog without rich, unless the process has imported one of them already.

If rich is installed, structlog imports it for tracebacks with the values of variables, which our logs never
show. That would cost 0.07 s of CPU time in the start of each process, and 4 MB.
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
