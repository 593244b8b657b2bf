"""The py3langid plugin. See README.md in this folder."""
