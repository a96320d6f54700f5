"""Firehose's prefix expressions."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from datamaster.laptop.delivery.prefix import MissingPartitionKey, evaluate

MOMENT = datetime(2024, 7, 9, 5, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("prefix", "evaluated"),
    [
        ("raw/!{partitionKeyFromLambda:table_name}/", "raw/beer/2024/07/09/05/"),
        ("errors/!{firehose:error-output-type}/", "errors/processing-failed/2024/07/09/05/"),
        ("plain/", "plain/2024/07/09/05/"),
        ("day=!{timestamp:yyyy-MM-dd}/!{partitionKeyFromLambda:table_name}/", "day=2024-07-09/beer/"),
    ],
)
def test_expressions_are_evaluated_and_the_hour_is_added_where_no_time_is_named(prefix, evaluated):
    assert evaluate(prefix, MOMENT, {"table_name": "beer"}, "processing-failed") == evaluated


def test_a_random_string_has_eleven_letters():
    assert re.fullmatch(r"[A-Za-z]{11}/2024/07/09/05/", evaluate("!{firehose:random-string}/", MOMENT, {}))


@pytest.mark.parametrize("keys", [{}, {"table_name": ""}])
def test_a_missing_partition_key_is_an_error(keys):
    with pytest.raises(MissingPartitionKey, match="table_name"):
        evaluate("raw/!{partitionKeyFromLambda:table_name}/", MOMENT, keys)
