"""POST /v1/me and /v1/me/close: what people set for themselves, and how they leave."""

from __future__ import annotations
