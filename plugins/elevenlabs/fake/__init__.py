"""ElevenLabs as its documentation and its own library describe it, on this machine and free of charge.

The WebSocket (`stream-input`) is not there: this engine does not use it.
"""

from plugins.elevenlabs.fake.account import KEY, Account
from plugins.elevenlabs.fake.app import fake

__all__ = ["KEY", "Account", "fake"]
