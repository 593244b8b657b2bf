"""The espeak plugin; README.md in this folder describes it."""
