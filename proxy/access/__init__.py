"""Who calls, and how often: keys, failed logins, and the count of a plan's requests a minute (`limits`)."""
