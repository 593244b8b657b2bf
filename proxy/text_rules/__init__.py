"""SSML (`ssml_body`) and Markdown, read into the plain text that is spoken. The core finds them by name."""
