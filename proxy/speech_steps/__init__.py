"""Steps that few requests take: casts, checks, whole files, times of words, a second engine for a voice.

The core finds them by name.
"""
