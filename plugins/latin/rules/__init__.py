"""The rules, with a file for each kind of text that is not said as it is written."""
