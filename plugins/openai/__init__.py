"""The openai plugin. README.md in this folder describes it."""
