"""An engine that spells texts in beeps: plugin.py is its front, worker.py lives in a host."""
