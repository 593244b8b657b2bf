"""What a command of the command line is: its options, what it asks, and the tables of the answer."""
