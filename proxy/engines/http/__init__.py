"""The client of HTTP for engines: bounded, pooled, through a proxy."""
