"""Cuts of long recordings of a voice into clips for trainings: jobs whose steps are stretches of the
recording."""
