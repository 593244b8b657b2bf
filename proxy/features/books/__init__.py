"""Books: an EPUB, a Markdown text or a plain one becomes chapters, and a job speaks them as one file."""
