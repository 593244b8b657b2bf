"""How RVC learns a voice: recordings in slices, two networks that learn from each other, and the result."""
