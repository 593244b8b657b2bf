"""hibari: a natural woman for English, quick enough to speak where others are late."""
