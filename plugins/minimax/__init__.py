"""MiniMax speech: a cloud engine, in the server itself."""
