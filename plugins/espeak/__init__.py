"""The espeak plugin; see README.md beside this file."""
