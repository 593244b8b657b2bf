"""Trainings: jobs that learn a voice from its recordings, each in a process of its own."""
