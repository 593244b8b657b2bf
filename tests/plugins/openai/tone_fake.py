"""`python -m tests.plugins.openai.tone_fake`: the fake as a program, speaking in tones."""

from fakes.openai.app import provider
from fakes.serving import run
from tests.tones import tones

if __name__ == "__main__":
    run(provider(tones), "tone_fake")
