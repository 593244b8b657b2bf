"""The tone plugin; README.md in this folder describes it."""
