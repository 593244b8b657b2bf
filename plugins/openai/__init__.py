"""The openai plugin; see README.md beside this file."""
