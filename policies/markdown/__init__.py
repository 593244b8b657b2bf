"""Markdown in a text: what is a mark and not a word is left out before the text is spoken."""
