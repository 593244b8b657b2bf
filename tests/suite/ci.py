"""Whether this is a run of CI, where nothing may be left out.

CI says so in a variable that pytest reads too: it then compares two long sounds that differ line by line,
which takes it minutes, and prints thousands of lines. So a run keeps the word under a name of its own.
"""

import os

_KEPT = "VOXGATE_RUN_OF_CI"
_SAID = ("CI", "BUILD_NUMBER")


def keep_to_ourselves() -> None:
    """Take the word from pytest. The processes of a run inherit ours."""
    said = [value for name in _SAID if (value := os.environ.pop(name, "")).lower() not in ("", "0", "false")]
    if said:
        os.environ[_KEPT] = said[0]


def is_ci() -> bool:
    return _KEPT in os.environ
