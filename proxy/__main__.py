"""The console script, and `python -m proxy`; says what to do where the command line cannot be loaded."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    # While hundreds of modules are read, it would only search them again and again.
    gc.disable()
    try:
        from proxy.cli import main
    except ModuleNotFoundError as error:
        if (error.name or "proxy").partition(".")[0] in ("proxy", "policies", "speech_engine"):
            raise
        sys.exit(
            f"voxgate is not installed whole: there is no module {error.name}; install it again: "
            "make install, or pip install --upgrade voxgate"
        )
    gc.freeze()
    gc.enable()
    main.main()


if __name__ == "__main__":
    main()
