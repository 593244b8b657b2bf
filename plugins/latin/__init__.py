"""The latin plugin; see README.md beside this file."""
