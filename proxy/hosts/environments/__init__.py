"""The environments of plugins: they are found, built and described."""
