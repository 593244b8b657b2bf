"""Users: people who sign in by mail or by a link, their sessions, and what they do for themselves."""
