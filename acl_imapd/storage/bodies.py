"""Bodies: stored once however many messages share them; large ones as files, on disk before the row that names them."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from acl_imapd.mail.mime import Parsed, scan
from acl_imapd.mail.preview import preview
from acl_imapd.storage.prepared import Prepared
from acl_imapd.storage.schema import body, message
from acl_imapd.types import BodyId


class Blobs:
    """Files by key, ``ab/abcdef….1f2e3d4c``, each written whole and durable before its name is given away.

    A key is used once: what removes the file of one body cannot hit another's of the same bytes.
    """

    def __init__(self, directory: Path, inline_limit_bytes: int) -> None:
        self.directory = directory
        self.inline_limit_bytes = inline_limit_bytes

    def write(self, digest: bytes, data: bytes) -> str:
        """The key under which *data* is on disk for good: written, fsynced, renamed, the directory fsynced."""
        name = digest.hex()
        key = f"{name[:2]}/{name}.{secrets.token_hex(4)}"
        self.write_as(key, data)
        return key

    def write_as(self, key: str, data: bytes) -> None:
        """Put *data* on disk as *key*."""
        target = self.directory / key
        _make_directory(target.parent)
        draft = target.with_name(f".{target.name}")
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(target)
        _fsync(target.parent)

    def read(self, key: str) -> bytes:
        """The data of that key."""
        return (self.directory / key).read_bytes()

    def has(self, key: str) -> bool:
        """True when there is a file of that key."""
        return (self.directory / key).is_file()

    def remove(self, key: str) -> None:
        """Forget the data of that key."""
        (self.directory / key).unlink(missing_ok=True)

    def keys_before(self, time_s: float) -> list[str]:
        """The keys of all files written before that time, drafts among them.  Files of other makes are passed over."""
        found = []
        for path in self.directory.glob("[0-9a-f][0-9a-f]/*"):
            key = f"{path.parent.name}/{path.name}"
            try:
                if _KEY.fullmatch(key) and path.lstat().st_mtime < time_s:
                    found.append(key)
            except FileNotFoundError:  # removed meanwhile
                continue
        return sorted(found)


# A draft begins with a dot.
_KEY = re.compile(r"([0-9a-f]{2})/\.?\1[0-9a-f]{62}\.[0-9a-f]{8}")


def _make_directory(directory: Path) -> None:
    """Make it and what is missing above it; each is in its parent for good."""
    if not directory.exists():
        _make_directory(directory.parent)
        directory.mkdir(exist_ok=True, mode=0o700)
        _fsync(directory.parent)


def _fsync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# FOR KEY SHARE: a sweep that is about to remove the body is waited for, and one that comes later leaves it alone.
_BODY = select(body.c.sha256, body.c.id, body.c.blob_key).with_for_update(read=True, key_share=True)
_KNOWN = Prepared(_BODY.where(body.c.sha256 == bindparam("digest")))
_ALL_KNOWN = _BODY.where(body.c.sha256.in_(bindparam("digests", expanding=True)))
_INSERT: Any = {
    name: make(body).on_conflict_do_nothing(index_elements=["sha256"]).returning(body.c.sha256, body.c.id)
    for name, make in (("sqlite", sqlite_insert), ("postgresql", postgresql_insert))
}


def store_bodies(conn: Connection, blobs: Blobs, new: Sequence[tuple[bytes, Parsed]]) -> list[BodyId]:
    """The ids of the bodies: of each the one that is there already, or a new one; in two statements each 500."""
    digests = [hashlib.sha256(data).digest() for data, _ in new]
    found: dict[bytes, BodyId] = {}
    different = dict(zip(digests, new, strict=True))
    # Sorted, or two that store the same bodies in another order wait for each other.
    wanted = sorted(different)
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        _find(conn, blobs, some, different, found)
        missing = [digest for digest in some if digest not in found]
        if not missing:
            continue
        values = [_values(blobs, digest, *different[digest]) for digest in missing]
        made = {bytes(row[0]): row[1] for row in conn.execute(_INSERT[conn.dialect.name], values)}
        found.update(made)
        taken = [one for one in values if one["sha256"] not in made]
        if taken:  # somebody stored the same at the same moment
            for one in taken:
                if one["blob_key"] is not None:
                    blobs.remove(one["blob_key"])
            _find(conn, blobs, [one["sha256"] for one in taken], different, found)
    return [found[digest] for digest in digests]


def _find(
    conn: Connection,
    blobs: Blobs,
    digests: Sequence[bytes],
    different: dict[bytes, tuple[bytes, Parsed]],
    found: dict[bytes, BodyId],
) -> None:
    """Add to *found* the bodies there are.  A file that a sweep removed before it failed is written again."""
    one = len(digests) == 1
    found_now = _KNOWN.all(conn, {"digest": digests[0]}) if one else conn.execute(_ALL_KNOWN, {"digests": digests})
    for row in found_now:
        digest = bytes(row[0])
        found[digest] = row[1]
        if row[2] is not None and not blobs.has(row[2]):
            blobs.write_as(row[2], different[digest][0])


def _values(blobs: Blobs, digest: bytes, data: bytes, parsed: Parsed) -> dict[str, Any]:
    key = blobs.write(digest, data) if len(data) > blobs.inline_limit_bytes else None
    return {
        "sha256": digest,
        "size": len(data),
        "envelope": parsed.envelope,
        "structure": parsed.structure,
        "structure_ext": parsed.structure_ext,
        "blob_key": key,
        "preview": parsed.preview,
        "header": parsed.header,
        "text": None if key is not None else data[len(parsed.header) :],
    }


@dataclass(frozen=True, slots=True)
class BodyData:
    """Of a body, what was asked for; the rest is empty."""

    envelope: bytes = b""
    structure: bytes = b""
    structure_ext: bytes = b""
    header: bytes = b""
    message: bytes = b""
    sha256: bytes = b""


@lru_cache(64)
def _queries(names: tuple[str, ...]) -> tuple[Select[Any], Prepared]:
    """The statements for many bodies and for one; built once for each set of columns."""
    query = select(body.c.id, *(body.c[name] for name in names))
    return query.where(body.c.id.in_(bindparam("ids", expanding=True))), Prepared(
        query.where(body.c.id == bindparam("body_id"))
    )


def read_bodies(
    conn: Connection, ids: Sequence[BodyId], columns: frozenset[str], *, blobs: Blobs
) -> dict[BodyId, BodyData]:
    """*columns* (envelope, structure, structure_ext, sha256, header, message) of those bodies, by 500."""
    wanted: list[str] = [name for name in ("envelope", "structure", "structure_ext", "sha256") if name in columns]
    names = list(wanted)
    if "header" in columns or "message" in columns:
        names.append("header")
    if "message" in columns:
        names += ["text", "blob_key"]
    query, one = _queries(tuple(names))
    found: dict[BodyId, BodyData] = {}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        rows = one.all(conn, {"body_id": some[0]}) if len(some) == 1 else conn.execute(query, {"ids": some})
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


_PREVIEWS = select(body.c.id, body.c.preview).where(body.c.id.in_(bindparam("ids", expanding=True)))
_SET_PREVIEW = Prepared(update(body).where(body.c.id == bindparam("body_id")).values(preview=bindparam("text")))


def read_previews(conn: Connection, ids: Sequence[BodyId]) -> dict[BodyId, str | None]:
    """The preview of each body; None where it was stored before there were any."""
    found: dict[BodyId, str | None] = {}
    for start in range(0, len(ids), 500):
        found.update((BodyId(row[0]), row[1]) for row in conn.execute(_PREVIEWS, {"ids": ids[start : start + 500]}))
    return found


def make_previews(conn: Connection, ids: Sequence[BodyId], *, blobs: Blobs) -> dict[BodyId, str]:
    """The previews of those bodies, made now."""
    found: dict[BodyId, str] = {}
    for ident in ids:
        for data in read_bodies(conn, [ident], frozenset({"message"}), blobs=blobs).values():
            found[ident] = preview(data.message, scan(data.message))
    return found


def store_previews(conn: Connection, previews: Mapping[BodyId, str]) -> None:
    """Keep them, so that they are made once."""
    _SET_PREVIEW.many(conn, [{"body_id": ident, "text": text} for ident, text in previews.items()])


_DIGESTED = select(body.c.id).where(body.c.sha256.between(bindparam("low"), bindparam("high")))


def read_digested(conn: Connection, start: bytes) -> set[BodyId]:
    """The bodies whose digest begins with *start*."""
    values = {"low": start.ljust(32, b"\0"), "high": start.ljust(32, b"\xff")}
    return set(conn.execute(_DIGESTED, values).scalars())


_IN_USE = exists().where(message.c.body_id == body.c.id)
# Locked first and looked at again in a later statement: a message that came to use one meanwhile is seen then.
_ORPHANS = select(body.c.id).where(~_IN_USE).order_by(body.c.id).with_for_update(skip_locked=True)
_DELETE = (
    delete(body)
    .where(body.c.id.in_(bindparam("ids", expanding=True)), ~_IN_USE)
    .returning(body.c.blob_key)
)  # fmt: skip


def sweep_bodies(conn: Connection, blobs: Blobs, limit: int = 500) -> int:
    """Remove bodies that no message has any more; how many.  Their files go with them.

    Should the transaction fail then, bodies are left whose files are gone: no message has them, and
    :func:`store_bodies` writes the file again before one can.
    """
    ids = list(conn.execute(_ORPHANS.limit(limit)).scalars())
    keys = list(conn.execute(_DELETE, {"ids": ids}).scalars()) if ids else []
    for key in keys:
        if key is not None:
            blobs.remove(key)
    return len(keys)
