"""The engine that most tests of the embedded voice speak with; a process has room for one at a time."""

from tests.fixtures import opened
from tests.plugins.espeak.heard import espeak

engine = opened(espeak)
