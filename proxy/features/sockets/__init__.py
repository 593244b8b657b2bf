"""Speech while the text is being written: WebSockets, and the utterances that are spoken on them."""
