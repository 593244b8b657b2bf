"""OpenAI's files and batches: jobs whose steps are the lines of a file."""
