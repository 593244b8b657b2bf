"""The plain plugin; see README.md beside this file."""
