"""Steps that few requests take: casts, times of words, checks, whole files, and a second engine for a voice.
The core finds them by name."""
