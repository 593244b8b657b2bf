"""Values whose repr shows no field: a field may hold a text, a sound, an address or a secret."""

from __future__ import annotations


class Redacted:
    """A base of structs. The repr of one is its class, with its `id` if it has one."""

    __slots__ = ()

    def __repr__(self) -> str:
        id_ = getattr(self, "id", "")
        return f"<{type(self).__name__} {id_}>" if id_ else f"<{type(self).__name__}>"
