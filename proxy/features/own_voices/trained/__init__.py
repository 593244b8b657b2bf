"""Voices by models that were trained on other systems: the models are uploaded and downloaded as files."""
