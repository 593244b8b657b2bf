"""Ratios of two things measured side by side in one run; never a test, never a number on its own."""
