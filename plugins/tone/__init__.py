"""The tone plugin; see README.md beside this file."""
