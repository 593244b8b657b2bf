"""What of a job is fetched: its sound in one file or many, encoded, and its subtitles."""
