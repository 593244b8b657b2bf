"""Texts with marks, SSML and Markdown, as plain texts. The core finds the rules by their name."""
