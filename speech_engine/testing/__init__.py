"""The tools with which a plugin author tests an engine: a contract suite for pytest, and small helpers.

The import needs neither pytest nor a server. `EngineContract` says how to use the suite.
"""

from speech_engine.testing.contract import EngineContract
from speech_engine.testing.conversion_contract import ConversionContract
from speech_engine.testing.hearing_contract import HearingContract
from speech_engine.testing.jobs import collect, job, speaking
from speech_engine.testing.rules import ContractBroken

__all__ = [
    "ContractBroken",
    "ConversionContract",
    "EngineContract",
    "HearingContract",
    "collect",
    "job",
    "speaking",
]
