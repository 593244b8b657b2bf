"""The databases that any test may ask for by name, and what holds for every run of the suite."""

import os
import sys

import hypothesis
import pytest
import structlog

from tests import forked
from tests.databases import ada, new_store_url, open_without_migrating, shared_postgres, store, store_url
from tests.leaks import leaks, leaves_holds, loop_leaks
from tests.redis_server import shared_redis
from tests.server import plain_server
from tests.suite import ci, memory, once
from tests.suite.budget import Budget
from tests.suite.collecting import Collecting
from tests.suite.folders import Folders
from tests.suite.guard import Guard
from tests.suite.held import Held
from tests.suite.not_run import NotRun
from tests.suite.prove_once import ProveOnce
from tests.suite.second_run import SecondRun
from tests.suite.twins import Twins

__all__ = [
    "ada",
    "leaks",
    "leaves_holds",
    "loop_leaks",
    "new_store_url",
    "plain_server",
    "shared_postgres",
    "shared_redis",
    "store",
    "store_url",
]

ci.keep_to_ourselves()
# Else each server that tests start would compile all of the code again, and each process of a run the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Else each product of matrices wakes threads that spin on cores which other tests need: four times the work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Its own way to show a failure colours the code, which takes longer than any step of the server.
_plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _plain])
memory.use(memory.choose())
once.share()
open_without_migrating()
# All that is forked has the environment of here, whatever the first test that forks has changed.
forked.environ_of_run()
# A machine may be busy: no example fails by the clock.
_PATIENT = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("patient", _PATIENT, max_examples=25)
hypothesis.settings.register_profile("soak", _PATIENT, max_examples=3000)
hypothesis.settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    parts = {
        "folders": Folders(),
        "guard": Guard(),
        "not run": NotRun(),
        "prove once": ProveOnce(),
        "budget": Budget(),
        "collecting": Collecting(),
        "held": Held(),
        "second run": SecondRun(),
        "twins": Twins(),
    }
    for name, part in parts.items():
        config.pluginmanager.register(part, name)
