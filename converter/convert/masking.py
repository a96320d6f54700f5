"""Masks on Arrow columns, with a bounded cache of recent values that outlives the batch.

The kernel computes hashes if it was built. Without it, and for the other masks, each distinct value of a batch is masked once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from convert import parse
from lake.errors import TerminalError
from lake.privacy import CLEAR, mask_value

try:
    from dm_kernel import HmacSha256  # type: ignore[import-not-found,import-untyped,unused-ignore]
except ImportError:
    HmacSha256 = None

CACHED_VALUES = 20_000
"""Masked values cached per column, about 4 MB at the length of e-mail addresses."""
CACHED_CODES = 1 << 16
"""Hashes that the kernel caches per hashed column: 4 MB."""
EXTRA = "_extra"


class MissingMaskKey(TerminalError):
    """A column must be hashed, but there is no key."""


class WrongMaskKey(TerminalError):
    """The mask key is not 32 bytes in hexadecimal digits."""


class Masker:
    """Masks the columns of batches. The threads of a conversion share one masker and its cache.

    ``masks`` is the mask of each column to hide. ``decisions`` are the pinned decisions, which may clear a column that no
    contract names yet. ``key`` is the HMAC key in bytes. Hashing without one raises ``MissingMaskKey``.
    """

    def __init__(self, masks: Mapping[str, str], decisions: Mapping[str, str], key: bytes | None) -> None:
        self._masks = dict(masks)
        self._decisions = decisions
        self._key = key
        self._cache: dict[str, dict[str, str | None]] = {name: {} for name in masks}
        self._clear = [name for name, decision in decisions.items() if decision == CLEAR]
        self._codes: dict[str, Any] = {}
        self._extra_codes: Any = None
        if HmacSha256 is not None and key is not None:
            self._codes = {name: HmacSha256(key, CACHED_CODES) for name, kind in masks.items() if kind == "hash"}
            self._extra_codes = HmacSha256(key, CACHED_CODES)

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with its hidden columns masked and unknown columns hashed."""
        extra = batch.column(EXTRA)
        has_extras = extra.null_count < len(extra)
        if not self._masks and not has_extras:
            return batch
        columns = list(batch.columns)
        for name, kind in self._masks.items():
            place = batch.schema.get_field_index(name)
            columns[place] = self._column(name, kind, columns[place])
        if has_extras:
            columns[batch.schema.get_field_index(EXTRA)] = self._extras(extra)
        return pa.RecordBatch.from_arrays(columns, schema=batch.schema)

    def line(self, written: Iterable[tuple[str, str, str]], known: frozenset[str]) -> str:
        """A line's members, masked as in its row. Members outside ``known`` are treated as unknown columns.

        ``written`` gives name, name as written and value as written of each member.
        """
        return "{" + ",".join(f"{label}:{self._member(name, source, known)}" for name, label, source in written) + "}"

    def _member(self, name: str, source: str, known: frozenset[str]) -> str:
        kind = self._masks.get(name, None if name in known or name in self._clear else "hash")
        return source if kind is None else json.dumps(self._mask(kind, _text_of(source)), ensure_ascii=False)

    def _column(self, name: str, kind: str, column: pa.Array) -> pa.Array:
        if kind == "null":
            return pa.nulls(len(column), column.type)
        if name in self._codes:
            return pa.array(self._codes[name].hex(column))
        encoded = column.dictionary_encode()
        masked = [self._remembered(self._cache[name], kind, value) for value in encoded.dictionary.to_pylist()]
        return pa.array(masked, column.type).take(encoded.indices)

    def _remembered(self, cache: dict[str, str | None], kind: str, value: str) -> str | None:
        try:
            return cache[value]  # in one step, because another thread may clear it
        except KeyError:
            if len(cache) >= CACHED_VALUES:
                cache.clear()
            masked = cache[value] = self._mask(kind, value)
            return masked

    def _extras(self, column: pa.Array) -> pa.Array:
        if self._extra_codes is not None:
            return pa.array(self._extra_codes.extras(column, self._clear))
        hidden = [text and self.line(parse.written_members(text.encode()) or (), frozenset()) for text in column.to_pylist()]
        return pa.array(hidden, column.type)

    def _mask(self, kind: str, value: str | None) -> str | None:
        if kind == "hash" and self._key is None:
            raise MissingMaskKey(
                "values have to be hashed, of personal columns or of those that the contract does not know, and no key was given; "
                "write one with openssl rand -hex 32 > mask.key, and name it with --mask-key-file mask.key"
            )
        return mask_value(kind, value, self._key or b"")


def _text_of(source: str) -> str | None:
    """The text of a value as written: a string's own text, None for null, any other value unchanged."""
    if source.startswith('"'):
        return str(json.loads(source))
    return None if source == "null" else source


def mask_key(text: str, source: str) -> bytes:
    """The HMAC key in the text of a secret or file: 64 hexadecimal digits, 32 bytes. Raises ``WrongMaskKey``, which names ``source``."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        given = len(text.strip())
        raise WrongMaskKey(f"{source}: the mask key must be 64 hexadecimal digits (32 bytes), and it has {given} characters")
    return key
