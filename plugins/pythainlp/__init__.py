"""The pythainlp plugin; README.md in this folder describes it."""
