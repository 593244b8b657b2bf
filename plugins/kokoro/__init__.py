"""Kokoro: many natural voices of one small network, on the processor, with the files of the operator."""
