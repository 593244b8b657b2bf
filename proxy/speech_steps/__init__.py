"""What a speech may need beside an engine and its sound. The core finds it by name."""
