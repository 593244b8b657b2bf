"""Models that can be had from elsewhere: which there are, and how their files come to the importer."""
