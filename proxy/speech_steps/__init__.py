"""Steps that few requests take: casts, whole files, times of words, a second engine that changes the voice.

The core finds them by name.
"""
