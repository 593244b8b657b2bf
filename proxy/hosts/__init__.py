"""Engines in processes of their own, on this machine and on others."""
