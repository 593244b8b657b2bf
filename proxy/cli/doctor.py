"""`voxgate doctor`: the examination, shown."""

from __future__ import annotations

import sys

import msgspec

from proxy.cli import tables
from proxy.cli.output import AsJson, ConfigFile, print_answer


def doctor(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Look for what keeps this machine from serving, and say what to do; starts nothing."""
    # Imported here: it brings all that it examines, which no other command needs.
    from proxy.diagnosis.doctor.examination import examine

    results = list(examine(config_file))
    is_well = all(result.state != "wrong" for result in results)
    answer = {"ok": is_well, "data": msgspec.to_builtins(results)}
    print_answer(answer, as_json, tables.examination)
    if not is_well:
        sys.exit(1)
