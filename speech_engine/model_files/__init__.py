"""The files of a model that an operator imports: what they may be, what lies in them, and their manifest.

A plugin's front declares a `ModelFormat`. Nothing here needs torch, and nothing builds a tensor.
"""

from speech_engine.model_files.contents import FolderContents, check_model
from speech_engine.model_files.declarations import (
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
from speech_engine.model_files.manifest import ModelFileEntry, ModelManifest, find_manifest, read_manifest

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
