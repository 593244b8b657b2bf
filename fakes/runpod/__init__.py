"""A fake of Runpod on real sockets: its jobs API, its management API v2, and the pods behind their proxy.

A test gives the handler that works, as a worker's image would, and a clock that stands still until the test
moves it. So the cost is known to the cent.
"""
