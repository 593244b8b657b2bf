"""INSERT for a struct whose fields are the columns: written down once, the two cannot drift apart."""

from __future__ import annotations

import msgspec

from proxy.storage.store import Statement


def columns(type_: type[msgspec.Struct]) -> str:
    return ", ".join(type_.__struct_fields__)


def insert_sql(table: str, type_: type[msgspec.Struct]) -> str:
    values = ", ".join(f":{name}" for name in type_.__struct_fields__)
    return f"INSERT INTO {table} ({columns(type_)}) VALUES ({values})"


def insert(sql: str, row: msgspec.Struct) -> Statement:
    return Statement(sql, msgspec.structs.asdict(row))
