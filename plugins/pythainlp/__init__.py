"""The pythainlp plugin; see README.md beside this file."""
