"""Models that an operator imports: files are read, checked, converted once, and kept with a manifest."""
