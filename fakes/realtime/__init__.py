"""A fake of OpenAI's Realtime API, which reads aloud in tones, and misbehaves on demand."""
