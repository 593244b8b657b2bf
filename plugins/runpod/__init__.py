"""The runpod plugin: a runner, which rents machines at Runpod. It runs in the server itself."""
