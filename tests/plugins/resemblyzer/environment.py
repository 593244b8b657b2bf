"""The comparer's environment: its own, or the one that CI builds for all plugins with torch."""

from tests.plugins import neural

NAME = "resemblyzer"


def interpreter() -> str:
    return neural.interpreter(NAME)
