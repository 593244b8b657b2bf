"""Fake providers that speak the real protocol over a real socket, for tests and trials.

No wheel contains them.
"""
