"""Lines that once lost or changed data, as they would read today. With one of them put back, the rule's test fails.

``python -m tests.mutations [PART OF A TEST'S NAME]`` proves it, one line at a time, in a copy of the project (build/mutations).
The rules stand in docs/files.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / "build" / "mutations"
FOLDERS = ("kernel", ".", "converter", "ingest-router", "control-api", "emr-jobs", "examples")
CRATE = "converter/kernel"


@dataclass(frozen=True)
class Former:
    """A line of ``file``, and what it was. ``test`` fails then. ``engine`` names the only one that has the line."""

    test: str
    file: str
    line: str
    former: str = "if False:"
    engine: str = ""

    @property
    def engines(self) -> tuple[str, ...]:
        """The parsers through which the test must fail."""
        of_files = self.test.startswith((LOST, VALUES))
        return ("kernel", "fallback") if of_files and not self.engine else (self.engine,)


LOST = "tests/unit/convert/test_what_a_file_lost.py::test_"
VALUES = "tests/unit/convert/test_values_that_end_nothing.py::test_"
TALLY = "tests/unit/convert/test_tally.py::test_"
MONTHS = "tests/integration/jobs/test_months.py::test_"
VERIFY = "tests/integration/verify/test_values_that_do_not_fit.py::test_"
VERSIONS = "tests/unit/jobs/test_columns_through_versions.py::test_each_value_ends_under_its_own_column_or_the_change_is_refused"
RENAMES = "tests/unit/lake/test_renames.py::test_"
JOB_ERRORS = "tests/unit/control_api/test_job_errors.py::test_"
PARAMETERS = "tests/unit/control_api/test_parameters.py::test_"
API = "tests/integration/control_api/test_control_api.py::"
DIALECT = "tests/unit/athena/test_dialect.py::test_"
STATEMENT = "tests/unit/athena/test_statement.py::test_"
ENDPOINT = "tests/integration/athena/test_athena_endpoint.py::"

ENGINE, VERDICT, QUARANTINE = (f"converter/convert/{name}.py" for name in ("engine", "verdict", "quarantine"))
MASKING, COUNTS = "converter/convert/masking.py", "converter/convert/tally.py"
BLOCKS, HEADER, RECORDS = (f"converter/convert/parse/{name}.py" for name in ("blocks", "csv_header", "csv_records"))
CSV_KERNEL, RAW_NAMES, VERIFIED = f"{CRATE}/src/csv.rs", "lake/raw_names.py", "datamaster/verify/values.py"
API_PARAMETERS, CONTROL, SQL = "control-api/control_api/parameters.py", "lake/control/", "datamaster/athena/"

EXTRAS = "if self._extra_codes is not None:"
LOOSE = "[text and orjson.dumps(orjson.loads(text)).decode() for text in column.to_pylist()]"
REWRITTEN = f"import orjson; column = pa.array({LOOSE})\n        {EXTRAS}"
MEMBERS = "return parse.written_members(raw)"
SHORT = "return [(name, name, {0}.dumps(value)) for name, value in {0}.loads(raw).items()]"

FORMER_LINES = (
    Former(LOST + "a_quote_that_nothing_closes_fails_the_file_and_names_its_line", ENGINE, "if reject.reason == Reason.OPEN_QUOTE:"),
    Former(LOST + "a_quote_that_nothing_closes_fails_the_file_and_names_its_line", CSV_KERNEL,
           "_ if span.is_open => Err(Fail::record(Reason::OpenQuote)),", "", "kernel"),
    Former(LOST + "a_quote_that_nothing_closes_fails_the_file_and_names_its_line", RECORDS, "if span.is_open:", engine="fallback"),
    Former(LOST + "two_stray_quotes_are_judged_by_the_lines_between_them", VERDICT, "if tally.lost_lines > tally.lines * ratio:"),
    Former(LOST + "rows_within_a_text_that_another_stray_quote_closes_fail_the_file_and_name_its_line", VERDICT,
           "if tally.swallowed and tally.lost_lines + tally.swallowed > tally.lines * ratio:"),
    Former(LOST + "rows_within_a_text_of_an_unknown_column_weigh_as_those_of_a_known_one", CSV_KERNEL,
           "if lines > parsed.rows_read + 1 {",
           "if lines > parsed.rows_read + 1 && self.targets.iter().all(|target| matches!(target, Target::Field(_))) {", "kernel"),
    Former(LOST + "rows_within_a_text_of_an_unknown_column_weigh_as_those_of_a_known_one", RECORDS,
           'if record.count(b"\\n") > 1:', 'if record.count(b"\\n") > 1 and None not in self._places:', "fallback"),
    Former(LOST + "a_file_of_which_no_record_is_accepted_fails_whatever_its_size_and_form", VERDICT,
           "if tally.rejected and tally.written == tally.fenced:"),
    Former(LOST + "a_json_file_that_is_not_one_change_a_line_fails_and_says_what_it_is", VERDICT, "if 2 * tally.no_objects > tally.read:"),
    Former(LOST + "a_header_amid_the_rows_is_no_row_even_if_every_column_is_text", CSV_KERNEL,
           "if may_be_header && self.is_header(", "if false && self.is_header(", "kernel"),
    Former(LOST + "a_header_amid_the_rows_is_no_row_even_if_every_column_is_text", RECORDS,
           "if tuple(found) == self._header:", engine="fallback"),
    Former(LOST + "a_header_that_differs_from_a_column_by_case_or_blanks_fails_the_file", HEADER, "if nearly:"),
    Former(LOST + "another_encoding_or_container_is_named", BLOCKS, "if self._offset == 0:"),
    Former(LOST + "a_name_says_csv_in_upper_case_too", RAW_NAMES, "name.lower().endswith(_CSV_ENDINGS)", "name.endswith(_CSV_ENDINGS)"),
    Former(LOST + "a_name_of_another_form_is_refused_by_that_form", RAW_NAMES, "if form is not None:"),
    Former(LOST + "a_record_may_have_sixteen_mebibytes_and_no_byte_more", BLOCKS,
           "bytes(min(len(self._buffer), self._largest - len(self._buffer)))", "bytes(len(self._buffer))"),
    Former(LOST + "a_rejected_record_says_what_is_wrong_and_what_would_be_valid", "lake/types.py",
           '_STAMP(" or a space for the T")', '"the same; a space may stand for T"'),
    Former(VALUES + "an_unknown_value_is_hashed_as_it_was_written", MASKING, EXTRAS, REWRITTEN),
    Former(VALUES + "a_cleared_value_is_kept_as_it_was_written", MASKING, EXTRAS, REWRITTEN),
    Former(VALUES + "a_rejected_line_of_any_depth_costs_itself_alone", QUARANTINE, MEMBERS, "import orjson; " + SHORT.format("orjson")),
    Former(VALUES + "a_rejected_line_shows_no_unknown_value_whatever_stands_beside_it", QUARANTINE, MEMBERS, SHORT.format("json")),
    Former(VALUES + "a_line_that_cannot_be_read_is_not_shown", QUARANTINE,
           "if written is None:\n            return None", "if written is None:\n            return _shown(raw)"),
    Former(TALLY + "as_many_values_are_named_in_the_order_of_their_names_whatever_order_they_came_in", COUNTS,
           "for name in sorted(block.extra):", "for name in block.extra:"),
    Former(TALLY + "of_as_many_values_the_names_come_in_their_order_whichever_block_had_them_first", COUNTS,
           "key=lambda item: (-item[1], item[0])", "key=lambda item: -item[1]"),
    Former(TALLY + "the_names_that_are_counted_one_by_one_are_bounded_and_no_value_is_lost", COUNTS,
           "known = name in self.unknown_columns or len(self.unknown_columns) < COUNTED_UNKNOWN_COLUMNS", "known = True"),
    Former(VERIFY + "a_month_that_the_calendar_lacks_is_no_month", VERIFIED, "ELSE 0 END", "END"),
    Former(VERIFY + "a_month_that_the_calendar_lacks_is_no_month", VERIFIED,
           "CASE WHEN {known} THEN {typed(column)} * {1_000_000 // share} END", "{typed(column)} * {1_000_000 // share}"),
    Former(VERIFY + "a_value_that_its_type_cannot_hold_is_a_missing_row_and_no_trace", VERIFIED,
           "TRY_CAST({name} AS DECIMAL", "CAST({name} AS DECIMAL"),
    Former(MONTHS + "rows_lie_in_their_months_and_later_changes_find_them_there", "emr-jobs/jobs/silver/month_rule.py",
           'known = f"{column} between {first} and {last}"', 'known = f"{column} is not null"'),
    Former(RENAMES + "a_former_name_that_another_column_has_is_refused_with_the_way_out", "lake/contract/renames.py",
           "if holder is None or holder is column:", "if True:"),
    Former(RENAMES + "one_that_was_published_before_is_read_still_and_never_by_the_ambiguous_name", "lake/contract/model.py",
           "return tuple(name for name in column.former_names if name not in self.by_name)", "return column.former_names"),
    Former(RENAMES + "a_name_of_another_column_and_a_lost_name_are_refused_with_the_way_out", "lake/contract/renames.py",
           "_refuse_lost_name(table, before, column)", "pass"),
    Former(RENAMES + "a_name_of_the_source_passes_to_another_column_behind_a_load_alone", "lake/contract/renames.py",
           "in before.exchanged(contract).items():", "in ():"),
    Former(VERSIONS, "lake/contract/model.py", " if column.id in theirs or column.name == column.source_name]", "]"),
    Former(JOB_ERRORS + "the_line_is_the_last_exceptions_without_its_frames", "control-api/batches/job_errors.py", "if _TRACE in text:"),
    Former(PARAMETERS + "a_time_of_any_year_and_zone_is_a_moment", API_PARAMETERS, "except OverflowError:", "except NameError:"),
    Former(PARAMETERS + "times_of_the_control_table_sort_as_text", CONTROL + "records.py",
           'isoformat(timespec="microseconds").replace("+00:00", "Z")', 'strftime("%Y-%m-%dT%H:%M:%S.%fZ")'),
    Former(API + "TestFiles::test_a_wrong_parameter_is_named_with_what_is_valid", API_PARAMETERS, "[0-9]{1,3}", "[0-9]+"),
    Former(API + "TestFiles::test_a_wrong_parameter_is_named_with_what_is_valid", API_PARAMETERS, "if begin and end and begin > end:"),
    Former(API + "TestFiles::test_a_wrong_parameter_is_named_with_what_is_valid", API_PARAMETERS, "if len(values) > 1:"),
    Former(API + "TestFiles::test_a_cursor_older_than_since_is_the_end", CONTROL + "listing.py", "if low > high:"),
    Former(API + "TestFiles::test_an_id_of_any_form_is_not_found", CONTROL + "file_states.py", " if is_file_id(file_id) else None", ""),
    Former(API + "TestRetry::test_a_body_is_refused_and_an_empty_one_of_any_type_taken", API_PARAMETERS, "if text.strip():"),
    Former(DIALECT + "what_is_divided_by_zero_fails_unless_it_is_a_double", SQL + "arithmetic.py",
           "return _unless_zero(divisor, exp.cast(exp.Literal.string(ZERO), kind), result)", "return result"),
    Former(DIALECT + "arithmetic_has_athenas_types_and_values", SQL + "arithmetic.py", "elif _is_date(node, type_of):", "elif False:"),
    Former(DIALECT + "arithmetic_has_athenas_types_and_values", SQL + "executor.py", "if isinstance(value, exp.Null):"),
    Former(DIALECT + "arithmetic_has_athenas_types_and_values", SQL + "result_values.py", 'if kind.startswith("INTERVAL"):'),
    Former(DIALECT + "values_are_written_as_athena_writes_them", SQL + "dialect.py",
           "if isinstance(node, exp.Cast) and node.to.this in exp.DataType.TEXT_TYPES:"),
    Former(DIALECT + "values_are_written_as_athena_writes_them", SQL + "dialect.py", "if isinstance(node, exp.Typeof):"),
    Former(DIALECT + "values_are_written_as_athena_writes_them", SQL + "dialect.py", '{"format_datetime": _format_datetime}', "{}"),
    Former(DIALECT + "values_are_written_as_athena_writes_them", SQL + "duckdb_engine.py", 'human_readable_seconds: "DOUBLE",', ""),
    Former(DIALECT + "a_value_at_a_time_zone_is_shown_in_it", SQL + "zones.py",
           'in ("at_timezone", "with_timezone")', 'in ("with_timezone",)'),
    Former(DIALECT + "a_value_at_a_time_zone_is_shown_in_it", SQL + "zones.py",
           'pair = {"athena_local": local, "athena_zone": zone.copy()}', "return local\n    pair = {}"),
    Former(DIALECT + "headings_are_written_as_the_statement_writes_them", SQL + "executor.py",
           "if isinstance(column, exp.Column) and column.name != column.name.lower():"),
    Former(STATEMENT + "a_reserved_word_without_quotes_is_a_syntax_error", SQL + "statement.py", "    _refuse_reserved(tree)\n", ""),
    Former(STATEMENT + "a_statement_about_the_catalog_is_read_by_its_form", SQL + "utilities.py",
           '"PARTITIONS": rf"SHOW', '"PARTITIONS": rf"NO'),
    Former(STATEMENT + "a_statement_that_reads_is_not_refused_as_one_that_writes", SQL + "utilities.py",
           'upper(), "the local Athena does not answer it")', "upper())"),
    Former(ENDPOINT + "test_what_grafanas_macros_become_is_answered", SQL + "dialect.py",
           "if isinstance(node, exp.DataType) and node.this in (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ):"),
    Former(ENDPOINT + "TestDescriptions::test_show_tables", SQL + "listings.py", 'part.replace(".*", "*")', "part"),
    Former(ENDPOINT + "TestInformationSchema::test_what_a_schema_browser_asks", SQL + "relations.py",
           "if name.database == INFORMATION_SCHEMA:"),
    Former(ENDPOINT + "TestRequests::test_the_same_client_token_starts_nothing_new", SQL + "query_executions.py",
           "if known.asked != execution.asked:"),
    Former(ENDPOINT + "TestRequests::test_a_statement_has_at_most_262144_bytes", SQL + "endpoint.py",
           "if len(sql.encode()) > MAX_STATEMENT_BYTES:"),
)  # fmt: skip


def main(words: Iterable[str]) -> int:
    """Run the tests with each former line in its place. Returns 1 if one is not found."""
    chosen = [one for one in FORMER_LINES if not list(words) or any(word in one.test for word in words)]
    _copy()
    if _fails(sorted({one.test for one in chosen})):
        print("A test fails with every line as it is now. Run it by itself first.")
        return 1
    return 1 if [one for one in chosen if not _is_found(one)] else 0


def _copy() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name)


def _is_found(one: Former) -> bool:
    path = COPY / one.file
    text = path.read_text()
    path.write_text(text.replace(one.line, one.former))
    if one.file.startswith(CRATE):
        _build_kernel()
    found = all(_fails([one.test], engine) for engine in one.engines)
    print(f"{'found' if found else 'NOT FOUND'}: {one.file}: {one.line.strip()} ({one.test})", flush=True)
    path.write_text(text)
    shutil.rmtree(COPY / "kernel", ignore_errors=True)
    return found


def _build_kernel() -> None:
    environment = os.environ | {"CARGO_TARGET_DIR": str(ROOT / CRATE / "target")}
    wheels = COPY / "wheels"
    command = [Path(sys.executable).parent / "maturin", "build", "--quiet", "--release", "-m", COPY / CRATE / "Cargo.toml", "-o", wheels]
    subprocess.run(command, env=environment, check=True)
    for wheel in wheels.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(COPY / "kernel")


def _fails(tests: list[str], engine: str = "") -> bool:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(COPY / folder) for folder in FOLDERS)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests, *(["-k", engine] if engine else [])]
    ended = subprocess.run(command, cwd=COPY, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode not in (0, 1):
        raise SystemExit(f"{tests}: pytest ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended.returncode == 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
