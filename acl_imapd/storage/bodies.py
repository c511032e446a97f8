"""Bodies: stored once however many messages share them; large ones as files, on disk before the row that names them."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, exists, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from acl_imapd.mail.mime import Parsed
from acl_imapd.storage.schema import body, message
from acl_imapd.types import BodyId


class Blobs:
    """Files by key, ``ab/abcdef…``, each written whole and durable before its name is given away."""

    def __init__(self, directory: Path, inline_limit_bytes: int) -> None:
        self.directory = directory
        self.inline_limit_bytes = inline_limit_bytes

    def write(self, digest: bytes, data: bytes) -> str:
        """The key under which *data* is on disk for good: written, fsynced, renamed, the directory fsynced."""
        name = digest.hex()
        key = f"{name[:2]}/{name}"
        target = self.directory / key
        if target.exists():
            return key
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = target.with_name(f".{name}.{secrets.token_hex(4)}")
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(target)
        for directory in (target.parent, self.directory):
            handle = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        return key

    def read(self, key: str) -> bytes:
        """The data of that key."""
        return (self.directory / key).read_bytes()

    def remove(self, key: str) -> None:
        """Forget the data of that key."""
        (self.directory / key).unlink(missing_ok=True)


_INSERT: dict[str, Any] = {
    name: make(body).on_conflict_do_nothing(index_elements=["sha256"]).returning(body.c.id)
    for name, make in (("postgresql", postgresql_insert), ("sqlite", sqlite_insert))
}
_KNOWN = select(body.c.id).where(body.c.sha256 == bindparam("sha256"))


def store_body(conn: Connection, blobs: Blobs, data: bytes, parsed: Parsed) -> BodyId:
    """The id of the body that is *data*: the one that is there already, or a new one."""
    digest = hashlib.sha256(data).digest()
    known = conn.execute(_KNOWN, {"sha256": digest}).scalar()
    if known is not None:
        return BodyId(known)
    key = blobs.write(digest, data) if len(data) > blobs.inline_limit_bytes else None
    statement = _INSERT[conn.dialect.name]
    values = {
        "sha256": digest,
        "size": len(data),
        "envelope": parsed.envelope,
        "structure": parsed.structure,
        "structure_ext": parsed.structure_ext,
        "blob_key": key,
        "header": parsed.header,
        "text": None if key is not None else data[len(parsed.header) :],
    }
    made = conn.execute(statement, values).scalar()
    if made is None:  # somebody stored the same at the same moment
        made = conn.execute(_KNOWN, {"sha256": digest}).scalar_one()
    return BodyId(made)


@dataclass(frozen=True, slots=True)
class BodyData:
    """Of a body, what was asked for; the rest is empty."""

    envelope: bytes = b""
    structure: bytes = b""
    structure_ext: bytes = b""
    header: bytes = b""
    message: bytes = b""


@lru_cache(64)
def _queries(names: tuple[str, ...]) -> tuple[Select[Any], Select[Any]]:
    """The statements for many bodies and for one; built once for each set of columns."""
    query = select(body.c.id, *(body.c[name] for name in names))
    return query.where(body.c.id.in_(bindparam("ids", expanding=True))), query.where(body.c.id == bindparam("body_id"))


def read_bodies(
    conn: Connection, ids: Sequence[BodyId], columns: frozenset[str], *, blobs: Blobs
) -> dict[BodyId, BodyData]:
    """*columns* (envelope, structure, structure_ext, header, message) of those bodies, in one statement each 500."""
    wanted: list[str] = [name for name in ("envelope", "structure", "structure_ext") if name in columns]
    names = list(wanted)
    if "header" in columns or "message" in columns:
        names.append("header")
    if "message" in columns:
        names += ["text", "blob_key"]
    query, one = _queries(tuple(names))
    found: dict[BodyId, BodyData] = {}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        rows = conn.execute(one, {"body_id": some[0]}) if len(some) == 1 else conn.execute(query, {"ids": some})
        for row in rows:
            values: dict[str, bytes] = {name: bytes(getattr(row, name)) for name in wanted}
            if "header" in columns:
                values["header"] = bytes(row.header)
            if "message" in columns:
                values["message"] = (
                    blobs.read(row.blob_key) if row.blob_key is not None else bytes(row.header) + bytes(row.text)
                )
            found[row.id] = BodyData(**values)
    return found


def sweep_bodies(conn: Connection, blobs: Blobs, limit: int = 500) -> int:
    """Remove bodies that no message has any more; how many.  Their files go with them."""
    orphans = (
        select(body.c.id, body.c.blob_key)
        .where(~exists().where(message.c.body_id == body.c.id))
        .order_by(body.c.id)
        .limit(limit)
    )
    rows = conn.execute(orphans).all()
    if not rows:
        return 0
    conn.execute(
        delete(body).where(body.c.id.in_([row.id for row in rows]), ~exists().where(message.c.body_id == body.c.id))
    )
    for row in rows:
        if row.blob_key is not None:
            blobs.remove(row.blob_key)
    return len(rows)
