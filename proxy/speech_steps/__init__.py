"""Steps that few requests take: the times of words, and a second engine that changes the voice. The core
finds them by name."""
