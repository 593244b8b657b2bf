"""Files: the lock of the data folder, and of the feature `vault` recordings, keys and stored answers."""
