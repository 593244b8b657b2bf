"""The rules, a file for each kind of thing that is written otherwise than it is said."""
