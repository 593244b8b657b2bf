"""The text of jobs that are spoken: its chapters, the pieces of its steps, and subtitles. Later features have
kinds of jobs with such a text."""
