"""ElevenLabs as its documentation and its own library describe it, on this machine and free of charge.

The WebSocket (`stream-input`) is not there: this engine does not use it.
"""

from fakes.elevenlabs.account import KEY, Account
from fakes.elevenlabs.app import fake

__all__ = ["KEY", "Account", "fake"]
