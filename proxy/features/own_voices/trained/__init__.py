"""Voices by models that were trained elsewhere: they come as files, and leave as files."""
