"""The minimax plugin: a cloud engine that runs in the server itself."""
