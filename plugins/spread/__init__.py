"""The spread plugin. See README.md in this folder."""
