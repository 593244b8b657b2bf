"""The view of an operator into a worker: metrics, logs, failures of background tasks. No texts, no keys."""
