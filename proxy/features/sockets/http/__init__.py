"""WebSockets: the protocol after its handshake, how many are open, and how many frames a worker reads."""
