"""Which models and voices there are, and what accounts save of their own."""
