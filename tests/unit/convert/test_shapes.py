"""Every shape of JSON in every place of a line, and of CSV: a conversion reads it exactly, or rejects that record alone."""

from __future__ import annotations

import json

import pytest

from tests.unit.convert.conftest import NOTE, SECRET, TEXTS, Converted, line
from tests.unit.parse.test_bad_json import SHAPES, verdict

GOOD = line(1).encode()
DOCUMENT = NOTE.replace("physicalType: text", "physicalType: json")
ONE_LINE = [shape for shape in SHAPES if b"\n" not in shape and b"\r" not in shape]
PLACES = {
    "the line": lambda shape: shape,
    "a value beside others": lambda shape: b'{"id":2,"operation":"load","ratio":' + shape + b"}",
    "a json column": lambda shape: b'{"id":2,"operation":"load","body":' + shape + b"}",
    "an unknown column": lambda shape: b'{"id":2,"operation":"load","unknown":' + shape + b"}",
    "an unknown column of a rejected line": lambda shape: b'{"id":"bad","operation":"load","unknown":' + shape + b"}",
}


@pytest.mark.parametrize("contract", [NOTE, SECRET, DOCUMENT], ids=["open", "hidden", "json"])
@pytest.mark.parametrize("place", PLACES)
def test_a_shape_of_json_costs_its_own_line_at_most(converted: Converted, place: str, contract: str) -> None:
    lines = [PLACES[place](shape) for shape in ONE_LINE]
    body = b"".join(line + b"\n" + 4 * GOOD for line in lines)

    found = converted(body, "rows.gz", contract)

    counted = [line for line in lines if line.strip(b" \t")]
    assert found["records_read"] == len(counted) + 4 * len(lines)
    assert sum(row["id"] == 1 for row in found["rows"]) == 4 * len(lines)
    verdicts = [verdict(line) for line in counted]
    broken = [row for row in found["rejected"] if row["reason"] in ("utf8", "not_json", "not_object")]
    assert [row["reason"] for row in broken] == [told for told in verdicts if told != "row"]
    assert {row["line"] for row in broken} <= {None}


@pytest.mark.parametrize("shape", [shape for shape in ONE_LINE if verdict(b'{"a":' + shape + b"}") == "row"], ids=repr)
def test_a_json_text_within_a_string_is_that_text(converted: Converted, shape: bytes) -> None:
    text = shape.decode()

    found = converted(line(1, body=json.dumps(text)), "rows.gz", DOCUMENT)

    assert found["rows"][0]["body"] == text


CSV = {
    "plain": ("a,b\n1,2\n", [("a", "b"), ("1", "2")]),
    "carriage returns before line feeds": ("a,b\r\n1,2\r\n", [("a", "b"), ("1", "2")]),
    "no line feed at the end": ("a,b\n1,2", [("a", "b"), ("1", "2")]),
    "commas in quotes": ('Ada,"1 Main St, Ghent"\n"a,",","\n', [("Ada", "1 Main St, Ghent"), ("a,", ",")]),
    "empty texts and nulls": ('a,""\nb,\n"",c\n', [("a", ""), ("b", None), ("", "c")]),
    "empty texts with carriage returns": ('a,""\r\nb,\r\n', [("a", ""), ("b", None)]),
    "doubled quotes": ('a,"say ""hi"""\nb,""""\nc,""""""\n', [("a", 'say "hi"'), ("b", '"'), ("c", '""')]),
    "JSON": ('a,"{""k"": ""v, w"", ""n"": [1,2]}"\n', [("a", '{"k": "v, w", "n": [1,2]}')]),
    "line feeds in quotes": ('a,"one\ntwo\n\nthree"\n"b\n",c\n', [("a", "one\ntwo\n\nthree"), ("b\n", "c")]),
    "line ends in quotes": ('a,"one\r\ntwo"\r\nb,"\r\n"\r\n', [("a", "one\r\ntwo"), ("b", "\r\n")]),
    "quotes and line feeds": ('a,"say\n""hi""\n"\nb,"""\n"""\n', [("a", 'say\n"hi"\n'), ("b", '"\n"')]),
    "every script": ("á,ʤ\n麦酒,😀\nЖ,\u2028\n", [("á", "ʤ"), ("麦酒", "😀"), ("Ж", "\u2028")]),
    "blank lines between": ("\na,b\n\n\r\n1,2\n\n", [("a", "b"), ("1", "2")]),
    "blanks that count": (" a , b \n", [(" a ", " b ")]),
    "words of other programs": ("\\N,NULL\nnull,None\n", [("\\N", "NULL"), ("null", "None")]),
}


@pytest.mark.parametrize("shape", CSV)
def test_a_shape_of_csv_is_read_exactly(converted: Converted, shape: str) -> None:
    text, rows = CSV[shape]

    found = converted("code,body\n" + text, contract=TEXTS)

    assert [(row["code"], row["body"]) for row in found["rows"]] == rows
    assert found["records_rejected"] == 0
