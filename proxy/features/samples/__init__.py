"""Samples: a voice is heard before it is chosen. Each says who it is in the languages that it speaks."""
