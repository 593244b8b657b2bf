"""The pycld2 plugin; see README.md beside this file."""
