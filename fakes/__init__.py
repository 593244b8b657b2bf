"""Providers that speak their real protocol over a real socket, for tests and trials; in no wheel."""
