"""Trained models of voices as files: uploads of models from other systems, downloads, and sentences to read
for a training."""
