"""The commands of `voxgate`, a file for each group; `proxy/cli/main.py` puts them together."""
