"""The texts of spoken jobs: their chapters, the pieces of their steps, and subtitles. Later features have
kinds of jobs with such texts, too."""
