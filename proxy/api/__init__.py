"""The resources of HTTP that the core answers itself: speech, models, health."""
