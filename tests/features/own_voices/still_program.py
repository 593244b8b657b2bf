"""A process that was asked something and stands still."""

import signal

if __name__ == "__main__":
    signal.pause()
