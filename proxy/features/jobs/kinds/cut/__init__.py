"""Long recordings of a voice, cut into clips for trainings: jobs whose steps are stretches."""
