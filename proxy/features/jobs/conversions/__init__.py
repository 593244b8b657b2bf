"""Recordings of any length in another voice: jobs whose steps are stretches of a recording."""
