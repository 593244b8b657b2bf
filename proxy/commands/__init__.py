"""The parts of a command: its options, its request, and the tables of the answer."""
