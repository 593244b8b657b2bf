"""What a plugin author tests an engine with: a contract suite for pytest, and two small helpers.

Needs neither pytest nor a server to be imported; `EngineContract` says how to use it.
"""

from speech_engine.testing.contract import EngineContract
from speech_engine.testing.jobs import collect, job, speaking
from speech_engine.testing.rules import ContractBroken

__all__ = ["ContractBroken", "EngineContract", "collect", "job", "speaking"]
