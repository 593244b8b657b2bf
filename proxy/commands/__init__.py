"""The commands of `voxgate`, a file for each group; `proxy/cli.py` puts them together."""
