"""A process that was asked something and stands still."""

from __future__ import annotations

import signal

if __name__ == "__main__":
    signal.pause()
