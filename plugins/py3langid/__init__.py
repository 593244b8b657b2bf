"""The py3langid plugin; see README.md beside this file."""
