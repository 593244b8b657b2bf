"""The plugins that models are pulled for: voxgate itself may write engines of these, and no others."""

from __future__ import annotations

from proxy.engines import registry
from speech_engine import Hosted


def pullable() -> dict[str, str]:
    """Return the plugins whose engines run in hosts here and that have a gallery.

    Each has the setting that lists its models, or "" if its engines speak with one.
    """
    return {
        name: plugin.model_format.listed_in
        for name, plugin in registry.load().plugins("engine").items()
        if plugin.gallery and plugin.model_format is not None and isinstance(plugin.create, Hosted)
    }
