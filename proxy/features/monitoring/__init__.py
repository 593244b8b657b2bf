"""Monitoring: the metrics page of a server, and the watch on the event loop of each worker."""
