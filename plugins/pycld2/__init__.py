"""The pycld2 plugin. See README.md in this folder."""
