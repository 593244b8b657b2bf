"""Engines in processes of this server, of other machines and of the worker, and their recordings."""
