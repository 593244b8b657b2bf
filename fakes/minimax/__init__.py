"""A fake of MiniMax's speech API, on a real socket: its fields and bounds, its streams, voices and faults.

No WebSocket and no asynchronous long text: the engine uses neither.
"""
