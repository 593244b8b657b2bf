"""A fake of MiniMax's speech API on a real socket, with its fields and bounds, streams, voices and faults.

It has no WebSocket and no asynchronous long texts, because the engine uses neither.
"""
