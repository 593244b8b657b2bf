"""whisper: ears for about a hundred languages, on the processor, with the model of the operator."""
