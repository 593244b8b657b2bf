"""The mark that Meta's AudioSeal makes: a network adds it, and another one finds it."""
