"""Programs that real clients run: each in an environment of its own, so they import nothing of voxgate."""
