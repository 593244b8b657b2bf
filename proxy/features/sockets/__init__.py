"""Speech while the text is being written: sockets whose clients send words and get sound."""
