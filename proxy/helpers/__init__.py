"""What several rooms use: one child process and its messages, limiters of callers, files read in a child."""
