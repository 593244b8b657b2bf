"""Users: people who sign in by mail or by an operator's link, their sessions, and what they do for themselves."""
