"""Firehose's prefix expressions.

https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping
from datetime import datetime

_EXPRESSION = re.compile(r"!\{([A-Za-z]+):([^}]*)\}")
_TIME_FIELD = re.compile(r"yyyy|MM|dd|HH|mm|ss")
_TIME_FORMAT = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_HOUR = "%Y/%m/%d/%H/"
RANDOM_LETTERS = 11


class MissingPartitionKey(Exception):
    """The prefix names a partition key that the function's answer does not hold."""


def evaluate(prefix: str, moment: datetime, keys: Mapping[str, str], error_type: str = "") -> str:
    """The prefix of one object. One that names no time gets ``YYYY/MM/DD/HH/`` behind it, as Firehose adds it.

    Raises ``MissingPartitionKey``.
    """

    def replace(match: re.Match[str]) -> str:
        space, name = match[1], match[2]
        if space == "partitionKeyFromLambda":
            if not keys.get(name):
                raise MissingPartitionKey(name)
            return keys[name]
        if space == "timestamp":
            return moment.strftime(_TIME_FIELD.sub(lambda field: _TIME_FORMAT[field[0]], name))
        if name == "error-output-type":
            return error_type
        return "".join(secrets.choice(string.ascii_letters) for _ in range(RANDOM_LETTERS))

    evaluated = _EXPRESSION.sub(replace, prefix)
    return evaluated if "!{timestamp:" in prefix else evaluated + moment.strftime(_HOUR)
