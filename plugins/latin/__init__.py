"""The latin plugin. See README.md in this folder."""
