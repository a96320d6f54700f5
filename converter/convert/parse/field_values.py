"""Reads single values in pure Python: JSON values and CSV cells become values for Arrow's columns.

The rules are those of ``lake.types.FORMS``, and the kernel has the same in Rust. Every reader takes the value and its field
and raises ``Problem``. Dates become days and timestamps microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from convert.parse.outcome import Problem, Reason
from convert.parse.schema import RowField
from lake.cdc import OPERATIONS
from lake.types import FLOAT32

Reader = Callable[[Any, RowField], Any]


class IntToken(str):
    """A JSON number without fraction and exponent, as it was written."""

    __slots__ = ()


class FloatToken(str):
    """A JSON number with fraction or exponent, as it was written."""

    __slots__ = ()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_float=FloatToken, parse_int=IntToken, parse_constant=_no_constant)
SCAN: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once  # type: ignore[attr-defined]
"""The value that begins at a place of a text, and its end. Raises ValueError or StopIteration."""

_BOUNDS = {"int16": (-(2**15), 2**15 - 1), "int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_NAN = frozenset({"NaN", "Infinity", "-Infinity"})
_CSV_INT = re.compile(r"([+-]?)0*([0-9]+)")
_CSV_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PLAIN = re.compile(r"([+-]?)(?:([0-9]+)\.?([0-9]*)|()\.([0-9]+))")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_STAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})([T ])([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:(Z)|([+-])([0-9]{2})(?::([0-9]{2}))?)?"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"(?:\\x)?((?:[0-9a-fA-F]{2})*)")
_POSITION = re.compile(r"[0-9a-f]{16}-[0-9]{10}-[0-9]")
_EPOCH = date(1970, 1, 1).toordinal()
_SECOND = 1_000_000
_FIRST = (date.min.toordinal() - _EPOCH) * 86_400 * _SECOND
_BEYOND = (date.max.toordinal() - _EPOCH + 1) * 86_400 * _SECOND


def _text(value: Any, field: RowField) -> str:
    if type(value) is not str:
        raise Problem(Reason.TYPE, field.name)
    return value


def _whole(negative: bool, digits: str, field: RowField) -> int:
    if len(digits) > 19:
        raise Problem(Reason.RANGE, field.name)
    number = -int(digits) if negative else int(digits)
    low, high = _BOUNDS[field.kind]
    if not low <= number <= high:
        raise Problem(Reason.RANGE, field.name)
    return number


def _json_int(value: Any, field: RowField) -> int:
    if type(value) is not IntToken:
        raise Problem(Reason.TYPE, field.name)
    return _whole(value[0] == "-", value.lstrip("-"), field)


def _csv_int(cell: str, field: RowField) -> int:
    match = _CSV_INT.fullmatch(cell)
    if match is None:
        raise Problem(Reason.TYPE, field.name)
    return _whole(match[1] == "-", match[2], field)


def _float(token: str, field: RowField) -> float:
    number = float(token)
    if number in (float("inf"), float("-inf")):
        raise Problem(Reason.RANGE, field.name)
    if field.kind == FLOAT32.name:
        try:
            struct.pack("<f", number)  # rounds, and raises beyond the largest float
        except OverflowError:
            raise Problem(Reason.RANGE, field.name) from None
    return number


def _not_a_number(text: str, field: RowField) -> float:
    if text not in _NAN:
        raise Problem(Reason.TYPE, field.name)
    if not field.allow_nan:
        raise Problem(Reason.NAN, field.name)
    return float(text)


def _json_float(value: Any, field: RowField) -> float:
    if type(value) in (IntToken, FloatToken):
        return _float(value, field)
    return _not_a_number(_text(value, field), field)


def _csv_float(cell: str, field: RowField) -> float:
    return _float(cell, field) if _CSV_FLOAT.fullmatch(cell) else _not_a_number(cell, field)


def _fixed(sign: str, digits: str, point: int, field: RowField) -> Decimal:
    """``digits`` times ten to the ``point``, exactly. Raises a ``range`` problem if it does not fit."""
    significant = digits.lstrip("0")
    stripped = significant.rstrip("0")
    if not stripped:
        return Decimal((0, (0,), -field.scale))
    zeros = point + len(significant) - len(stripped) + field.scale
    if zeros < 0 or len(stripped) + zeros > field.precision:
        raise Problem(Reason.RANGE, field.name)
    return Decimal((int(sign == "-"), tuple(map(int, stripped + "0" * zeros)), -field.scale))


def _csv_decimal(cell: str, field: RowField) -> Decimal:
    match = _PLAIN.fullmatch(cell)
    if match is None:
        raise Problem(Reason.NAN if cell in _NAN else Reason.TYPE, field.name)
    fraction = match[3] or match[5] or ""
    return _fixed(match[1], (match[2] or "") + fraction, -len(fraction), field)


def _json_decimal(value: Any, field: RowField) -> Decimal:
    if type(value) not in (IntToken, FloatToken):
        return _csv_decimal(_text(value, field), field)
    mantissa, _, exponent = value.lower().partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    # an exponent of ten digits is out of range or belongs to zero, so its further digits do not matter
    power = int(exponent.lstrip("+-").lstrip("0")[:10] or 0) * (-1 if exponent[:1] == "-" else 1)
    return _fixed(value[:1], whole + fraction, power - len(fraction), field)


def _json_boolean(value: Any, field: RowField) -> bool:
    if type(value) is not bool:
        raise Problem(Reason.TYPE, field.name)
    return value


def _csv_boolean(cell: str, field: RowField) -> bool:
    if cell in ("t", "true"):
        return True
    if cell in ("f", "false"):
        return False
    raise Problem(Reason.TYPE, field.name)


def _string(value: Any, field: RowField) -> str:
    if "\0" in _text(value, field):
        raise Problem(Reason.NUL, field.name)
    return str(value)


def _uuid(value: Any, field: RowField) -> str:
    if not _UUID.fullmatch(_text(value, field)):
        raise Problem(Reason.TYPE, field.name)
    return str(value).lower()


def _bytes(value: Any, field: RowField) -> bytes:
    match = _HEX.fullmatch(_text(value, field))
    if match is None:
        raise Problem(Reason.TYPE, field.name)
    return bytes.fromhex(match[1])


def _days(year: str, month: str, day: str, field: RowField) -> int:
    try:
        return date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        raise Problem(Reason.RANGE, field.name) from None


def _date(value: Any, field: RowField) -> int:
    match = _DATE.fullmatch(_text(value, field))
    if match is None:
        raise Problem(Reason.TYPE, field.name)
    return _days(match[1], match[2], match[3], field)


def _stamp(value: Any, field: RowField, separators: str) -> int:
    match = _STAMP.fullmatch(_text(value, field))
    if match is None or match[4] not in separators:
        raise Problem(Reason.TYPE, field.name)
    hour, minute, second = int(match[5]), int(match[6]), int(match[7])
    fraction = match[8] or ""
    ahead, behind = int(match[11] or 0), int(match[12] or 0)
    days = _days(match[1], match[2], match[3], field)
    if hour > 23 or minute > 59 or second > 59 or ahead > 23 or behind > 59 or fraction[6:].strip("0"):
        raise Problem(Reason.RANGE, field.name)
    offset = (ahead * 60 + behind) * (-60 if match[10] == "-" else 60)
    instant = (days * 86_400 + hour * 3600 + minute * 60 + second - offset) * _SECOND + int(fraction[:6].ljust(6, "0"))
    if not _FIRST <= instant < _BEYOND:
        raise Problem(Reason.RANGE, field.name)
    return instant


def _json_stamp(value: Any, field: RowField) -> int:
    return _stamp(value, field, "T")


def _csv_stamp(cell: str, field: RowField) -> int:
    return _stamp(cell, field, "T ")


def _operation(value: Any, field: RowField) -> str:
    if _text(value, field) not in OPERATIONS:
        raise Problem(Reason.OPERATION, field.name)
    return str(value)


def _position(value: Any, field: RowField) -> str:
    if not _POSITION.fullmatch(_text(value, field)):
        raise Problem(Reason.TYPE, field.name)
    return str(value)


def _json_names(value: Any, field: RowField) -> list[str]:
    if type(value) is not list:
        raise Problem(Reason.TYPE, field.name)
    return [_string(name, field) for name in value]


def _csv_names(cell: str, field: RowField) -> list[str]:
    try:
        value = _DECODER.decode(cell)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is not text
    except (ValueError, RecursionError):
        raise Problem(Reason.TYPE, field.name) from None
    return _json_names(value, field)


_BOTH: Mapping[str, Reader] = {
    "text": _string,
    "uuid": _uuid,
    "bytes": _bytes,
    "date": _date,
    "operation": _operation,
    "position": _position,
}
JSON_READERS: Mapping[str, Reader] = MappingProxyType(
    {
        **_BOTH,
        **dict.fromkeys(_BOUNDS, _json_int),
        "float32": _json_float,
        "float64": _json_float,
        "decimal": _json_decimal,
        "boolean": _json_boolean,
        "timestamp": _json_stamp,
        "names": _json_names,
    }
)
CSV_READERS: Mapping[str, Reader] = MappingProxyType(
    {
        **_BOTH,
        **dict.fromkeys(_BOUNDS, _csv_int),
        "float32": _csv_float,
        "float64": _csv_float,
        "decimal": _csv_decimal,
        "boolean": _csv_boolean,
        "timestamp": _csv_stamp,
        "names": _csv_names,
    }
)
