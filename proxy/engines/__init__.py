"""Finds plugins, and connects workers to engines: of the cloud, here, or from `proxy/hosts`."""
