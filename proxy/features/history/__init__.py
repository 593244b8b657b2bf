"""What an account asked for and heard: requests with `"history": true`, sealed, for the days of its plan."""
