"""Plugins found, hosts kept, hosted engines reached."""
