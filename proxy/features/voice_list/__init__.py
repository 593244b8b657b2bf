"""The list of voices, one voice and its preview."""
