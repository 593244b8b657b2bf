"""Dubs: subtitles become a track of speech that is as long as their video."""
