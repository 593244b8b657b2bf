"""Processes of the server: how each begins, answers and ends, and who has a place at them."""
