"""A file is judged by what it lost, in lines as much as in records; headers and fences alone have lost nothing."""

from __future__ import annotations

import re

import pytest

from lake.errors import TerminalError
from tests.unit.convert.conftest import HEADER, NOTE, TEXTS, Converted, line, record

ROWS = "".join(map(record, range(1, 100)))
FENCE = '{"operation":"fence","cdc_fence":"drop-table","cdc_built_at":"2024-01-01T00:00:00Z"}\n'


@pytest.mark.parametrize("behind", [4_900, 300_000], ids=["short", "15 MB"])
def test_a_quote_that_nothing_closes_fails_the_file_and_names_its_line(converted: Converted, behind: int) -> None:
    text = HEADER + ROWS + record(100, '"half') + "".join(map(record, range(101, 101 + behind)))

    with pytest.raises(TerminalError, match=rf"at line 101 \(byte 3,581\) .* nothing closes it; the {behind:,} lines behind"):
        converted(text)


def test_a_quote_that_opens_in_the_last_record_fails_the_file_too(converted: Converted) -> None:
    with pytest.raises(TerminalError, match=r"at line 101 \(byte"):
        converted(HEADER + ROWS + record(100, '"half').rstrip("\n"))


def test_a_quote_before_more_than_a_record_may_hold_is_named_by_its_line(converted: Converted) -> None:
    with pytest.raises(TerminalError, match=r"record at line 101 \(byte 3,581\) is longer .*does a quote open in it"):
        converted(HEADER + ROWS + record(100, '"half') + record(7) * 600_000)


def test_two_stray_quotes_are_judged_by_the_lines_between_them(converted: Converted) -> None:
    text = HEADER + ROWS + record(100, '"half') + ROWS * 29 + record(3_000, '"half') + ROWS

    with pytest.raises(TerminalError, match=r"2,873 of 3,071 lines rejected, above the 5\.0% .*: 1 x not_csv, first at line 101"):
        converted(text)


def test_rows_within_a_text_that_another_stray_quote_closes_fail_the_file_and_name_its_line(converted: Converted) -> None:
    text = HEADER + ROWS + record(100, '"half') + ROWS * 29 + record(3_000, 'ok"') + ROWS

    with pytest.raises(TerminalError, match=r"2,871 of 3,071 lines are rows by themselves .* stray quote opens in the record at line 101"):
        converted(text)


@pytest.mark.parametrize("evolution", ["evolve", "discard_value"])
def test_rows_within_a_text_of_an_unknown_column_weigh_as_those_of_a_known_one(converted: Converted, evolution: str) -> None:
    header, rows = HEADER.replace("\n", ",remark\n"), ROWS.replace("\n", ",fine\n")
    text = header + rows + record(100, 'ok,"half') + rows * 29 + record(3_000, 'ok,fine"') + rows
    contract = NOTE + f"    customProperties: [{{property: evolution, value: {evolution}}}]\n"

    with pytest.raises(TerminalError, match=r"2,871 of 3,071 lines are rows by themselves .* stray quote opens in the record at line 101"):
        converted(text, contract=contract)


@pytest.mark.parametrize(
    ("text", "contract"),
    [
        (HEADER + "".join(record(n, '"1, one\n2, two\n3, three\n4, four"') for n in range(100)), NOTE),
        (HEADER + "".join(record(n, '"a,b,c,d,e\n,,,,\n1;1.00;0.5;2024-01-01T00:00:00Z;ok\n"') for n in range(100)), NOTE),
        ("code,body\n" + "".join(f'{n},"Rua A, 1\nBairro, Centro\nSão Paulo, SP\n"\n' for n in range(100)), TEXTS),
    ],
    ids=["lists", "tables of another kind", "addresses"],
)
def test_texts_of_many_lines_are_texts_and_their_lines_are_counted(converted: Converted, text: str, contract: str) -> None:
    found = converted(text, contract=contract)

    assert (found["records_written"], found["lines_without_record"]) == (100, 300)


def test_a_few_long_rejected_texts_among_long_good_ones_weigh_no_more_than_short_ones(converted: Converted) -> None:
    good, bad = record(1, '"' + "line\n" * 20 + '"'), record(2, '"' + "line\n" * 20 + '",')

    assert converted(HEADER + good * 97 + bad * 3)["records_rejected"] == 3
    with pytest.raises(TerminalError, match="6 of 100 records"):
        converted(HEADER + good * 94 + bad * 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "".join(f'{{"id":{n},"body":"a"}}\n' for n in range(500)),
            'all 500 records were rejected: 500 x operation .*"operation" is missing',
        ),
        ('[{"id":1,"operation":"load"},{"id":2,"operation":"load"}]\n', "the only record was rejected: .*a JSON array; each line"),
        ('{"id":1,"operation":"load"}{"id":2,"operation":"load"}\n', "several objects in one line"),
        ('{\n"id":1,\n"operation":"load"\n}\n' * 200, "all 800 records were rejected: .* an object that goes over several lines"),
        ("\r".join([line(1).strip()] * 200), "the only record was rejected: .* not_json"),
        (line(1) * 10 + "nonsense\n" * 11, "11 of 21 lines are no JSON object, so the file is not JSON lines"),
        ("[\n" + "".join(f"{line(n).strip()},\n" for n in range(499)) + line(499) + "]\n", "501 of 502 lines .*part of a JSON array"),
    ],
    ids=["no operation", "array", "objects on a line", "objects over lines", "carriage returns", "half", "array over lines"],
)
def test_a_json_file_that_is_not_one_change_a_line_fails_and_says_what_it_is(converted: Converted, text: str, message: str) -> None:
    with pytest.raises(TerminalError, match=message):
        converted(text, "rows.gz")


@pytest.mark.parametrize("count", [1, 20, 1_500])
def test_a_file_of_which_no_record_is_accepted_fails_whatever_its_size_and_form(converted: Converted, count: int) -> None:
    for text, name in (
        (line('"x"') * count, "rows.gz"),
        (FENCE + line('"x"') * count, "rows.gz"),
        (HEADER + "x,,,,\n" * count, "rows.csv.gz"),
    ):
        with pytest.raises(TerminalError, match=f"(only record was|all {count:,} records were) rejected: {count:,} x type in column .id."):
            converted(text, name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (HEADER, "rows.csv.gz"),
        ("", "rows.gz"),
        ("\n \n", "rows.gz"),
        (FENCE, "rows.gz"),
    ],
    ids=["header", "nothing", "blank lines", "fence"],
)
def test_a_header_alone_and_fences_alone_are_fine(converted: Converted, text: str, name: str) -> None:
    assert converted(text, name)["records_rejected"] == 0


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_header_amid_the_rows_is_no_row_even_if_every_column_is_text(converted: Converted, mark: str, quoted: bool) -> None:
    header = '"code","body"\r\n' if quoted else "code,body\n"
    rows = "".join(f"c{n},code\n" for n in range(100))

    found = converted("code,body\n" + rows + mark + header + rows, contract=TEXTS)

    assert {row["code"] for row in found["rows"]} == {f"c{n}" for n in range(100)}
    assert [(row["line_number"], row["reason"]) for row in found["rejected"]] == [(102, "repeated_header")]


def test_a_header_amid_rows_of_numbers_is_told_as_one(converted: Converted) -> None:
    found = converted(HEADER + ROWS + HEADER + ROWS)

    assert found["rejects"] == ["1 x repeated_header, first at line 101 (" + found["rejected"][0]["detail"] + ")"]
    assert "files put together" in found["rejected"][0]["detail"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id, amount, ratio, seen, body", '" amount" instead of "amount"'),
        ("id,AMOUNT,ratio,seen,body", '"AMOUNT" instead of "amount"'),
        ("id,amount,ratio,seen,Body ", '"Body " instead of "body"'),
        ("id,amount,ratio,seen,\u200bbody", 'instead of "body"'),
        ("id,amount,ratio,seen,Operation", '"Operation" instead of "operation"'),
        ("ID,AMOUNT,RATIO,SEEN,BODY", '"ID" instead of "id"'),
    ],
)
def test_a_header_that_differs_from_a_column_by_case_or_blanks_fails_the_file(converted: Converted, header: str, message: str) -> None:
    with pytest.raises(TerminalError, match=re.escape(message)):
        converted(header + "\n" + ROWS)


def test_a_column_that_differs_by_case_beside_its_namesake_is_an_unknown_column(converted: Converted) -> None:
    found = converted("id,body,Body\n1,x,y\n")

    assert (found["rows"][0]["body"], list(found["unknown_columns"])) == ("x", ["Body"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("id,amount\n1,2\n".encode("utf-16"), "UTF-16 text: convert it to UTF-8, e.g. by iconv -f UTF-16 -t UTF-8"),
        ((HEADER + ROWS).encode("utf-16-le"), "UTF-16 text: .* -f UTF-16LE"),
        ((HEADER + ROWS).encode("utf-16-be"), "UTF-16 text: .* -f UTF-16BE"),
        ((HEADER + ROWS).encode("utf-32"), "UTF-32 text"),
        (b"note.csv" + bytes(249) + b"ustar\x0000" + bytes(248) + HEADER.encode(), "a tar archive"),
        (b"\x1f\x8b\x08\x00" + bytes(40), "gzip once more"),
        (b"PK\x03\x04" + bytes(40), "a ZIP archive"),
    ],
    ids=["UTF-16 with mark", "UTF-16LE", "UTF-16BE", "UTF-32", "tar", "gzip", "zip"],
)
@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.gz"])
def test_another_encoding_or_container_is_named(converted: Converted, body: bytes, message: str, name: str) -> None:
    with pytest.raises(TerminalError, match=message):
        converted(body, name)


@pytest.mark.parametrize("header", ["PAR1,id", "ORC_ID,id", "BZh,id", "%PDF,id"])
def test_a_header_that_begins_as_another_format_does_is_a_header(converted: Converted, header: str) -> None:
    assert converted(header + "\n1,1\n")["records_written"] == 1


@pytest.mark.parametrize("name", ["rows.CSV.gz", "ROWS.CSV.GZ", "rows.Csv.Gz"])
def test_a_name_says_csv_in_upper_case_too(converted: Converted, name: str) -> None:
    assert converted(HEADER + ROWS, name)["records_written"] == 99


@pytest.mark.parametrize(
    ("name", "form"), [("rows.csv.gz.gz", "gzip within gzip"), ("rows.tsv.gz", "tabs"), ("rows.TAR.gz", "tar"), ("rows.csv", "no gzip")]
)
def test_a_name_of_another_form_is_refused_by_that_form(converted: Converted, name: str, form: str) -> None:
    with pytest.raises(TerminalError, match=f"the name says .*{form}.*; expected is .csv.gz"):
        converted(HEADER + ROWS, name)


@pytest.mark.parametrize("size", [(16 << 20) - 1, 16 << 20, (16 << 20) + 1, 17 << 20, 31 << 20])
def test_a_record_may_have_sixteen_mebibytes_and_no_byte_more(converted: Converted, size: int) -> None:
    for text, name in ((line(1, body=f'"{"x" * 100}"'), "rows.gz"), (HEADER + record(1, "x" * 100), "rows.csv.gz")):
        longest = text.splitlines()[-1]
        long = text.replace("x" * 100, "x" * (size - len(longest) + 100))
        more = line(2) if name == "rows.gz" else record(2)
        if size <= 16 << 20:
            assert converted(long + more, name)["records_written"] == 2
        else:
            with pytest.raises(TerminalError, match="longer than 16,777,216 bytes"):
                converted(long + more, name)


@pytest.mark.parametrize(
    ("fields", "reason", "detail"),
    [
        ("7,1.00,0.5,2024-01-01,ok,", "ragged", "6 fields, and the header has 5: 1 too many; leave out the comma at the end of the line"),
        ("7,1.00,0.5", "ragged", "3 fields, and the header has 5: 2 too few; a value that is missing still needs its comma"),
        ("7,1.00,0.5,01/02/2024,ok", "type", "timestamptz: expected YYYY-MM-DDThh:mm:ss or a space for the T"),
        ("\ufeff7,1.00,0.5,,ok", "type", "a byte order mark amid the file, as in files put together; bigint: expected a whole number"),
        ('7,"1,000.00",0.5,,ok', "type", "expected a number without exponent and thousands separators"),
        ('7,1.00,0.5,,"say \\"hi\\""', "not_csv", "a backslash is no escape"),
    ],
)
def test_a_rejected_record_says_what_is_wrong_and_what_would_be_valid(converted: Converted, fields: str, reason: str, detail: str) -> None:
    (found,) = converted(HEADER + ROWS + fields + "\n")["rejected"]

    assert (found["line_number"], found["reason"]) == (101, reason)
    assert detail in found["detail"]


def test_a_member_that_differs_from_a_column_by_case_is_another_column(converted: Converted) -> None:
    found = converted(line(1) * 99 + line(2).replace('"id"', '"ID"') + line(3, Body='"x"', BODY='"y"'), "rows.gz")

    assert [(row["column"], row["reason"]) for row in found["rejected"]] == [("id", "required")]
    assert (found["rows"][-1]["body"], found["unknown_columns"]) == ("ok", {"BODY": 1, "Body": 1})
