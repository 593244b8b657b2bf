"""The server: the only room that does HTTP and storage. Start reading at `proxy.app`."""

__version__ = "0.1.0"
