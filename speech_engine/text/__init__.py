"""A text on its way to speech: cleaning, sentences, drafts, words."""
