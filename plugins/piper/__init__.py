"""Piper: natural voices on the processor, each an ONNX file of the operator."""
