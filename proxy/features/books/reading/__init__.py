"""How the text of a book is found in its file. All of it runs in a confined process."""
