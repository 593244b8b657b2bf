"""The comparer that asks Resemblyzer's network whether two recordings are of one speaker."""
