"""The plain plugin. See README.md in this folder."""
