"""Processes of the server: how each begins and ends, how they are asked, and who has a place at them."""
