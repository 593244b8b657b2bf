"""A fake of OpenAI's speech API, and of other servers that speak it with their own habits."""
