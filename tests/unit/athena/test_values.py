"""Numbers and nested values in the text that Athena gives."""

import pyarrow as pa
import pytest

from datamaster.athena.result_values import java_double, java_float, nested_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"), (-0.0, "-0.0"), (1.0, "1.0"), (0.001, "0.001"), (0.0009999, "9.999E-4"), (9999999.0, "9999999.0"), (1e7, "1.0E7"),
        (12345678.5, "1.23456785E7"), (-2.5e-10, "-2.5E-10"), (1.7976931348623157e308, "1.7976931348623157E308"), (5e-324, "5.0E-324"),
        (float("nan"), "NaN"), (float("inf"), "Infinity"), (float("-inf"), "-Infinity"), (0.1 + 0.2, "0.30000000000000004"),
        (100.0, "100.0"),
    ],
)  # fmt: skip
def test_doubles_are_written_as_java_does(value, text):
    assert java_double(value) == text


def test_floats_have_the_digits_of_32_bits():
    assert java_float(0.10000000149011612) == "0.1"
    assert java_float(16777216.0) == "1.6777216E7"


def test_nested_values_are_written_as_trino_does():
    kind = pa.list_(pa.struct([("a", pa.int64()), ("b", pa.map_(pa.string(), pa.bool_()))]))
    value = pa.array([[{"a": 1, "b": [("x", True)]}, None, {"a": None, "b": []}]], kind).to_pylist()[0]
    assert nested_text(value, kind) == "[{a=1, b={x=true}}, null, {a=null, b={}}]"
