"""Who asks, under which plan, and how often: callers, logins, plans, request windows."""
