"""Markdown in a text: its marks are left out before the text is spoken."""
