"""Converts DMS's forms of a value to the single form of a raw line, by column type.

DMS writes the same value in several forms, depending on source type and endpoint settings: 5 and "5", true, "true" and "t",
timestamps with and without a zone (https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.Kinesis.html). docs/types.md
has the table. No message here shows a value, because reasons are logged and a value may be personal data.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from lake.contract import Column
from lake.errors import TerminalError

Normaliser = Callable[[Any], Any]

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?\s?(Z|[+-][0-9]{2}(?::?[0-9]{2}(?::[0-9]{2})?)?)?"
)
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]00:00:00(?:\.0{1,9})?(?:Z|[+-]00(?::?00)?)?)?")
_BEYOND = re.compile(r"[0-9]{5,6}-[0-9]{2}-[0-9]{2}[0-9T :.+-]*|[0-9]{4}-[0-9]{2}-[0-9]{2}[0-9 :.+-]* (BC)")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_TRUE, _FALSE = frozenset(("true", "t", "1")), frozenset(("false", "f", "0"))
_NOT_FINITE = {"nan": "NaN", "infinity": "Infinity", "inf": "Infinity", "-infinity": "-Infinity", "-inf": "-Infinity"}
_EXACT_IN_DOUBLE = 1 << 53
_FLOAT32 = struct.Struct("<f")


class Digits(str):
    """A JSON number with a fraction or exponent, kept as it was written, because a double would round it."""

    __slots__ = ()


class InvalidValue(TerminalError):
    """A value has none of the forms that its column's type allows."""

    def __init__(self, got: Any, expected: str) -> None:
        super().__init__(f"got {_moment_kind(got) or kind_of(got)}; expected {expected}")


class InexactNumber(Exception):
    """A decimal came as a double. The record must be read again with exact digits."""


def kind_of(value: Any) -> str:
    """The kind of a JSON value, without the value itself."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float | Digits):
        return "a number"
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    return {type(None): "null", dict: "an object", list: "an array"}.get(type(value), type(value).__name__)


def _moment_kind(value: Any) -> str | None:
    """The name of a PostgreSQL date or time that the lake's calendar lacks. None for any other value."""
    if type(value) is not str:
        return None
    if value in ("infinity", "-infinity"):
        return value
    match = _BEYOND.fullmatch(value)
    return match and ("a year BC" if match[1] else "a year above 9999")


def normaliser(column: Column) -> Normaliser:
    """The function that converts a non-null value of ``column`` to its raw form. It raises ``InvalidValue``."""
    return NORMALISERS[column.type.form.name](column)


def _integer(bits: int) -> Normaliser:
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    expected = f"an integer of {bits} bits"

    def integer(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        if type(value) is str and _INTEGER.fullmatch(value) and low <= (number := int(value)) <= high:
            return number
        if type(value) is float:
            raise InexactNumber
        if type(value) is Digits and (whole := _whole(value)) is not None and low <= whole <= high:
            return whole
        raise InvalidValue(value, expected)

    return integer


def _whole(digits: Digits) -> int | None:
    """The integer that DMS wrote with an exponent. None beyond 2^53, since a double may have lost digits.

    The endpoint's useLargeIntegerValue keeps 18 digits: https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.Kinesis.html
    """
    number = Decimal(digits)
    return int(number) if abs(number) <= _EXACT_IN_DOUBLE and number == number.to_integral_value() else None


def _floating(single: bool, allow_nan: bool) -> Normaliser:
    expected = "a number" + (', "NaN", "Infinity" or "-Infinity"' if allow_nan else "; NaN and infinity need allowNaN in the contract")

    def floating(value: Any) -> float | int | str:
        kind = type(value)
        if kind is float and not single:
            return value  # type: ignore[no-any-return]
        if kind is int and -_EXACT_IN_DOUBLE <= value <= _EXACT_IN_DOUBLE and not single:
            return value  # type: ignore[no-any-return]
        if kind is str and (named := _NOT_FINITE.get(value.lower())):
            if allow_nan:
                return named
            raise InvalidValue(value, expected)
        if kind is float or kind is int or (kind in (str, Digits) and _NUMBER.fullmatch(value)):
            try:
                number = float(value)
                if single:
                    _FLOAT32.pack(number)
            except OverflowError:
                raise InvalidValue(value, "a number in the type's range") from None
            if math.isfinite(number):
                return number
        raise InvalidValue(value, expected)

    return floating


def _numeric(precision: int, scale: int) -> Normaliser:
    whole = precision - scale
    fraction = rf"\.[0-9]{{{scale}}}" if scale else ""
    canonical = re.compile(rf"-?(?:0|[1-9][0-9]{{0,{max(whole - 1, 0)}}}){fraction}" if whole else rf"-?0{fraction}")
    expected = f"a number that fits numeric({precision}, {scale}) exactly"

    def numeric(value: Any) -> str:
        kind = type(value)
        if kind is float:
            raise InexactNumber
        if kind is str and canonical.fullmatch(value):
            return value  # type: ignore[no-any-return]
        if kind is not int and not (kind in (str, Digits) and _NUMBER.fullmatch(value)):
            raise InvalidValue(value, expected)
        sign, digits, exponent = Decimal(value).as_tuple()
        if not isinstance(exponent, int):
            raise InvalidValue(value, expected)
        shift = exponent + scale
        if shift < 0 and any(digits[shift:]):
            raise InvalidValue(value, expected)
        if shift > precision and any(digits):
            raise InvalidValue(value, expected)
        kept = digits[:shift] if shift < 0 else digits + (0,) * min(shift, precision)
        unscaled = "".join(map(str, kept)).lstrip("0")
        if len(unscaled) > precision:
            raise InvalidValue(value, expected)
        padded = unscaled.rjust(scale + 1, "0")
        plain = f"{padded[:-scale]}.{padded[-scale:]}" if scale else padded
        return f"-{plain}" if sign and unscaled else plain

    return numeric


def boolean(value: Any) -> bool:
    """Accept true, "true", "t", "1", 1 and their opposites. Raises ``InvalidValue``."""
    if value is True or value is False:
        return value
    spelling = value.lower() if isinstance(value, str) else str(value) if type(value) is int else ""
    if spelling in _TRUE:
        return True
    if spelling in _FALSE:
        return False
    raise InvalidValue(value, 'true, false, "true", "false", "t", "f", 1 or 0')


def text(value: Any) -> str:
    """Text as it is. json, arrays, enums and intervals also come as text. Raises ``InvalidValue``."""
    if type(value) is str:
        return value
    raise InvalidValue(value, "text")


def uuid(value: Any) -> str:
    """Eight, four, four, four and twelve hexadecimal digits, in lower case. Raises ``InvalidValue``."""
    spelling = value.lower() if type(value) is str else ""
    if _UUID.fullmatch(spelling):
        return spelling
    raise InvalidValue(value, "8-4-4-4-12 hexadecimal digits")


def binary(value: Any) -> str:
    r"""Hexadecimal digits in lower case, without ``0x`` or ``\x``. Raises ``InvalidValue``."""
    spelling = value.lower() if type(value) is str else "-"
    if spelling[:2] in ("0x", "\\x"):
        spelling = spelling[2:]
    if _HEX.fullmatch(spelling):
        return spelling
    raise InvalidValue(value, "an even number of hexadecimal digits, with or without 0x or \\x")


def day(value: Any) -> str:
    """``YYYY-MM-DD``. DMS may add a midnight. Raises ``InvalidValue``."""
    match = _DATE.fullmatch(value) if type(value) is str else None
    if match:
        try:
            date.fromisoformat(match[1])
        except ValueError:
            match = None
    if match is None:
        raise InvalidValue(value, "a date YYYY-MM-DD of the years 1 to 9999")
    return match[1]


def moment(value: Any) -> str:
    """``YYYY-MM-DDTHH:MM:SS.ffffffZ``. A timestamp without a zone is UTC. Raises ``InvalidValue``."""
    if type(value) is str and len(value) == 27 and value[10] == "T" and value[19] == "." and value[26] == "Z" and value[7] == "-":
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise _no_timestamp(value) from None
        return value
    match = _TIMESTAMP.fullmatch(value) if type(value) is str else None
    if match is None:
        raise _no_timestamp(value)
    days, clock, fraction, zone = match.groups()
    micros = f"{fraction or '':0<6}"
    if micros[6:].strip("0"):
        raise InvalidValue(value, "a timestamp of at most 6 decimals")
    try:
        read = datetime.fromisoformat(f"{days}T{clock}.{micros[:6]}{'+00:00' if zone in (None, 'Z') else zone}")
        if zone not in (None, "Z"):
            return f"{read.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
    except (ValueError, OverflowError):
        raise _no_timestamp(value) from None
    return f"{days}T{clock}.{micros[:6]}Z"


def _no_timestamp(value: Any) -> InvalidValue:
    return InvalidValue(value, "a timestamp YYYY-MM-DDTHH:MM:SS[.ffffff][Z or ±hh[:mm]] of the years 1 to 9999")


NORMALISERS: Mapping[str, Callable[[Column], Normaliser]] = MappingProxyType(
    {
        "int16": lambda _: _integer(16),
        "int32": lambda _: _integer(32),
        "int64": lambda _: _integer(64),
        "float32": lambda column: _floating(True, column.allow_nan),
        "float64": lambda column: _floating(False, column.allow_nan),
        "decimal": lambda column: _numeric(column.type.precision or 0, column.type.scale or 0),
        "boolean": lambda _: boolean,
        "text": lambda _: text,
        "uuid": lambda _: uuid,
        "bytes": lambda _: binary,
        "date": lambda _: day,
        "timestamp": lambda _: moment,
    }
)
"""What makes the normaliser of a column of each form."""
