"""Speech of long texts: jobs whose steps are pieces of the text."""
