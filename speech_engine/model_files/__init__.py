"""The files of a model that an operator imports: their declaration, their contents, and their manifest.

A plugin's front declares a `ModelFormat`. These modules need no torch and build no tensor.
"""

from speech_engine.model_declarations import (
    ModelContents,
    ModelFacts,
    ModelFile,
    ModelFormat,
    OnnxGraph,
    OnnxNode,
    OnnxValue,
    TensorInfo,
    UnusableModel,
)
from speech_engine.model_files.contents import FolderContents, check_model
from speech_engine.model_manifest import ModelFileEntry, ModelManifest, find_manifest, read_manifest

__all__ = [
    "FolderContents",
    "ModelContents",
    "ModelFacts",
    "ModelFile",
    "ModelFileEntry",
    "ModelFormat",
    "ModelManifest",
    "OnnxGraph",
    "OnnxNode",
    "OnnxValue",
    "TensorInfo",
    "UnusableModel",
    "check_model",
    "find_manifest",
    "read_manifest",
]
