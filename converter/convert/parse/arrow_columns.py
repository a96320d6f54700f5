"""What the fallback's shortcuts share: columns that pyarrow read, and which of their rows are certain to be right.

A row is certain where every value is provably what the exact parser would give. All others are left to it, so a check
here may be too strict, never too lenient.

pyarrow imports pandas, where that is installed, for the first object of Python or NumPy that it is to take or to give: a
third of a second. So masks, numbers and constants go between NumPy and pyarrow as buffers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from convert.parse.schema import Field, RowSchema
from lake.cdc import DELETE, FENCE, LOAD, OPERATION, OPERATIONS

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Places = np.ndarray[Any, np.dtype[np.int64]]

_DATE = "(?:1[0-9]{3}|2[0-9]{3})-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:0[0-9]|1[0-4])(?::[0-5][0-9])?)"
_READ_AS = {
    "int16": pa.int64(),
    "int32": pa.int64(),
    "int64": pa.int64(),
    "float32": pa.float64(),
    "float64": pa.float64(),
    "boolean": pa.bool_(),
    "names": pa.list_(pa.string()),
}
# the bytes that may stand for a letter of a shape; a bit a letter
_LETTERS = {"9": b"0123456789", "f": b"0123456789abcdef", "2": b"12", "-": b"-", ":": b":", "T": b"T", ".": b".", "Z": b"Z"}
_CLASSES = bytes(sum(1 << bit for bit, octets in enumerate(_LETTERS.values()) if octet in octets) for octet in range(256))
_SHAPES = {
    kind: np.array([1 << list(_LETTERS).index(letter) for letter in shape], np.uint8)
    for kind, shape in {
        "date": "2999-99-99",
        "timestamp": "2999-99-99T99:99:99.999999Z",
        "position": "f" * 16 + "-9999999999-9",
        "uuid": "ffffffff-ffff-ffff-ffff-ffffffffffff",
    }.items()
}
_BOUNDS = {"int16": (-(2**15), 2**15 - 1), "int32": (-(2**31), 2**31 - 1)}


def read_as(field: Field) -> pa.DataType:
    """The type that pyarrow is asked to read a field as: text where its own reading is not the rule's."""
    return _READ_AS.get(field.kind, pa.string())


def pattern(field: Field, separator: str) -> str | None:
    """RE2's pattern of the texts that are certain for the field; None where any text is. ``separator`` is that of a timestamp."""
    match field.kind:
        case "date":
            return _DATE
        case "timestamp":
            return f"{_DATE}{separator}{_TIME}"
        case "decimal":
            fraction = rf"(?:\.[0-9]{{1,{field.scale}}})?" if field.scale else ""
            whole = field.precision - field.scale
            return rf"-?[0-9]{{1,{whole}}}{fraction}" if whole else f"-?0{fraction}"
        case "uuid":
            return "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
        case "bytes":
            return r"(?:\\x)?(?:[0-9a-fA-F]{2})*"
        case "position":
            return "[0-9a-f]{16}-[0-9]{10}-[0-9]"
        case "operation":
            return "|".join(OPERATIONS)
    return None


class ColumnCheck:
    """Turns columns that pyarrow read into the schema's, and tells which rows are certain."""

    def __init__(self, schema: RowSchema, separator: str) -> None:
        self._schema = schema
        self._patterns = [pattern(field, separator) for field in schema.fields]

    def batch(self, columns: dict[str, pa.Array], rows: int, default_operation: bool = False) -> tuple[pa.RecordBatch, Mask]:
        """The certain rows of ``rows`` that were read, and which they are; a column that was not read is null."""
        fields = self._schema.fields
        arrays = [columns[field.name] if field.name in columns else pa.nulls(rows, read_as(field)) for field in fields]
        if default_operation:
            arrays[self._schema.index[OPERATION]] = pa.repeat(text_array(LOAD)[0], rows)
        certain = np.ones(rows, dtype=np.bool_)
        for place, (field, text_pattern) in enumerate(zip(fields, self._patterns, strict=True)):
            shaped = _shaped(field, arrays[place])
            if shaped is not None:
                arrays[place] = shaped
            else:
                _certain_values(field, text_pattern, arrays[place], certain)
        self._certain_rows(arrays, certain)
        if not certain.all():
            arrays = [array.filter(bool_array(certain)) for array in arrays]
        finished = [_finish(field, array) for field, array in zip(fields, arrays, strict=True)]
        finished.append(pa.nulls(len(finished[0]), pa.string()))
        return pa.RecordBatch.from_arrays(finished, schema=self._schema.arrow_schema), certain

    def _certain_rows(self, arrays: Sequence[pa.Array], certain: Mask) -> None:
        operation = arrays[self._schema.index[OPERATION]]
        if operation.null_count:
            certain &= _mask(operation.is_valid())
        for place in self._schema.required:
            if arrays[place].null_count:
                exempt = (FENCE,) if self._schema.fields[place].key else (FENCE, DELETE)
                certain &= _mask(pc.or_(arrays[place].is_valid(), pc.is_in(operation, text_array(*exempt))))


def bool_array(mask: Mask) -> pa.BooleanArray:
    """A mask as pyarrow's array."""
    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, pa.py_buffer(np.packbits(mask, bitorder="little"))])


def text_array(*texts: str) -> pa.StringArray:
    """Texts as pyarrow's array."""
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def _mask(array: pa.BooleanArray) -> Mask:
    """Which values are true or null."""
    mask: Mask = _numbers(array.cast(pa.uint8()), np.bool_)
    return mask if array.null_count == 0 else mask | _mask(array.is_null())


def _numbers(array: pa.Array, dtype: type) -> np.ndarray[Any, Any]:
    """The values of an array of fixed width; any where it is null."""
    return np.frombuffer(array.buffers()[1], dtype, len(array), array.offset * np.dtype(dtype).itemsize)


def _certain_values(field: Field, text_pattern: str | None, array: pa.Array, certain: Mask) -> None:
    if array.null_count == len(array):
        return
    if field.kind == "operation":
        certain &= _mask(pc.is_in(array, text_array(*OPERATIONS)))
    elif text_pattern is not None:
        certain &= _mask(_matches(text_pattern, array))
    elif field.kind in _BOUNDS:
        low, high = _BOUNDS[field.kind]
        numbers = _numbers(array, np.int64)
        certain &= (low <= numbers) & (numbers <= high) | _mask(array.is_null())
    elif field.kind in ("float32", "float64"):
        certain &= _mask(pc.is_finite(array.cast(field.arrow_type, safe=False)))
    elif field.kind == "names" and pc.list_flatten(array).null_count:
        certain[:] = False


def text_bytes(array: pa.Array) -> bytes:
    """The bytes of an array's texts, one behind the other."""
    if len(array) == 0 or array.buffers()[2] is None:
        return b""
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4)
    return bytes(memoryview(array.buffers()[2])[int(offsets[0]) : int(offsets[-1])])


def _matches(text_pattern: str, array: pa.Array) -> pa.Array:
    """Which texts match a pattern as a whole; null for null. Texts that repeat are looked at once."""
    encoded = array.dictionary_encode()
    texts = encoded.dictionary if len(encoded.dictionary) * 2 < len(array) else array
    found = pc.match_substring_regex(texts, f"^(?:{text_pattern})$")
    return found if texts is array else found.take(encoded.indices)


def _shaped(field: Field, array: pa.Array) -> pa.Array | None:
    """The texts as the field's type, where every one has the one shape that writers give it; much cheaper than a pattern."""
    shape = _SHAPES.get(field.kind)
    if shape is None or array.null_count or not pa.types.is_string(array.type):
        return None
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4)
    if not (np.diff(offsets) == len(shape)).all():
        return None
    classes = np.frombuffer(text_bytes(array).translate(_CLASSES), np.uint8)
    if not (classes.reshape(-1, len(shape)) & shape).all():
        return None
    try:
        return array.cast(field.arrow_type) if field.kind in ("date", "timestamp") else array
    except pa.ArrowInvalid:
        return None  # no day of the calendar, or no time of the day


def _finish(field: Field, array: pa.Array) -> pa.Array:
    if array.null_count == len(array):
        return pa.nulls(len(array), field.arrow_type)
    if field.kind == "bytes":
        values = (None if value is None else bytes.fromhex(value.removeprefix("\\x")) for value in array.to_pylist())
        return pa.array(values, pa.binary())
    if array.type == field.arrow_type:
        return array
    return array.cast(field.arrow_type, safe=field.kind != "float32")


def bounds_of_lines(data: bytes) -> tuple[Places, Places]:
    """Where each line begins and ends, its line break left out."""
    octets = np.frombuffer(data, np.uint8)
    feeds = np.flatnonzero(octets == 10)
    if data and not data.endswith(b"\n"):
        feeds = np.append(feeds, len(data))
    starts = np.concatenate(([0], feeds[:-1] + 1)) if len(feeds) else feeds
    ends = feeds.copy()
    ends[feeds > starts] -= octets[feeds[feeds > starts] - 1] == 13
    return starts, ends


def joined(data: bytes, starts: Places, chosen: Mask) -> bytes:
    """The chosen lines, with their line breaks."""
    if chosen.all():
        return data
    edges = np.flatnonzero(np.diff(np.concatenate(([False], chosen, [False])).astype(np.int8)))
    bounds = np.append(starts, len(data))
    return b"".join(data[bounds[first] : bounds[after]] for first, after in zip(edges[::2], edges[1::2], strict=True))


def matching_lines(data: bytes, starts: Places, line_pattern: str) -> Mask:
    """Which lines match an RE2 pattern as a whole."""
    offsets = pa.py_buffer(np.append(starts, len(data)).astype(np.int32))
    lines = pa.StringArray.from_buffers(len(starts), offsets, pa.py_buffer(data))
    return _mask(pc.match_substring_regex(lines, rf"^(?:{line_pattern})\r?\n?$"))


def hide_marked(data: bytes, starts: Places, chosen: Mask, *marks: bytes) -> None:
    """Unchoose the lines that hold any of the marks, or bytes that are no UTF-8."""
    for mark in marks:
        # one byte is found many times faster than two
        at = data.find(mark) if mark[:1] in data else -1
        while at >= 0:
            after = int(np.searchsorted(starts, at, side="right"))
            chosen[after - 1] = False
            at = data.find(mark, int(starts[after])) if after < len(starts) else -1
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError:
        bounds = np.append(starts, len(data))
        for line in np.flatnonzero(chosen):
            try:
                data[bounds[line] : bounds[line + 1]].decode()
            except UnicodeDecodeError:
                chosen[line] = False
