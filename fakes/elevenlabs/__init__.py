"""A fake of ElevenLabs, on this machine and free of charge.

It follows ElevenLabs' documentation and its own library. It has no WebSocket (`stream-input`),
because the engine does not use that.
"""

from fakes.elevenlabs.account import KEY, Account
from fakes.elevenlabs.app import fake

__all__ = ["KEY", "Account", "fake"]
