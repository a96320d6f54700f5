"""Every type of pg_type comes out the same by a load, by a change and by an export, exactly as PostgreSQL writes it."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pyarrow.parquet as pq
import pytest
import yaml

from convert.local_file import convert
from datamaster.source.introspect import contract_yaml
from export.snapshot import take_snapshot
from export.statements import copies, header
from ingest.dms_messages import read_exact
from ingest.lines import TableLines
from lake.contract import Contract, parse_contract
from lake.source_session import SESSION_OPTIONS

pytestmark = pytest.mark.integration

# Types whose values cannot be written: PostgreSQL's own structures.
NO_INPUT = {"pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list", "gtsvector", "pg_brin_bloom_summary"}
NO_INPUT |= {"pg_brin_minmax_multi_summary"}
# The rows of a type's table: each one of the texts, or the last of them.
VALUES = {
    "bool": ("true", "false"),
    "bytea": (r"\x00ff5c", r"\x"),
    "char": ("x", ""),
    "name": ("a_name", ""),
    "int2": ("-32768", "32767"),
    "int4": ("-2147483648", "2147483647"),
    "int8": ("-9223372036854775808", "9223372036854775807"),
    "int2vector": ("1 2", ""),
    "oidvector": ("1 4294967295", ""),
    "oid": ("0", "4294967295"),
    "text": ("", 'a "quoted"\ttab, backslash \\ \\N and\r\nline ü 東京 🍺'),
    "bpchar": ("ab ", ""),
    "varchar": ("", "x" * 3000),
    "tid": ("(0,1)", "(4294967295,65535)"),
    "xid": ("0", "4294967295"),
    "xid8": ("0", "18446744073709551615"),
    "cid": ("0", "4294967295"),
    "json": ('{"a":  1, "a": 2}', "null"),
    "jsonb": ('{"a": 1e400}', '"🍺"'),
    "jsonpath": ('$."a"', "$[*]"),
    "xml": ("<a/>",),
    "float4": ("3.4028235e38", "1e-45", "-0", "1.1"),
    "float8": ("1.7976931348623157e308", "5e-324", "-0", "0.30000000000000004"),
    "numeric": ("1e-300", "12345678901234567890.5", "-0", f"{'9' * 300}.1", "1.10", "NaN"),
    "money": ("-92233720368547758.08", "1234.50"),
    "date": ("0001-01-01", "9999-12-31", "2024-02-29"),
    "time": ("00:00:00", "24:00:00", "12:34:56.000001"),
    "timetz": ("00:00:00+15:59", "24:00:00-15:59"),
    "timestamp": ("0001-01-01", "9999-12-31 23:59:59.999999"),
    "timestamptz": ("0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00", "2024-03-31 02:30:00+02"),
    "interval": ("-178000000 years", "1 mon 2 days 03:04:05.6", "-00:00:00.000001"),
    "point": ("(1e-300,1e+300)", "(NaN,Infinity)"),
    "lseg": ("[(0,0),(1.5,1)]",),
    "path": ("((0,0),(1,1))", "[(0,0),(1,1)]"),
    "box": ("(1,1),(0,0)",),
    "polygon": ("((0,0),(1,1),(2,0))",),
    "line": ("{1,-1,0}",),
    "circle": ("<(0,0),1>",),
    "macaddr": ("08:00:2b:01:02:03",),
    "macaddr8": ("08:00:2b:ff:fe:01:02:03",),
    "inet": ("192.168.0.1/24", "::ffff:1.2.3.4", "::/0"),
    "cidr": ("10.0.0.0/8", "2001:db8::/32"),
    "aclitem": ("postgres=r/postgres",),
    "bit": ("1", "0"),
    "varbit": ("10110", ""),
    "refcursor": ("a cursor",),
    "regproc": ("now", "-"),
    "regprocedure": ("abs(integer)",),
    "regoper": ("||/", "0"),
    "regoperator": ("+(integer,integer)",),
    "regclass": ("pg_class", "-"),
    "regcollation": ('"C"',),
    "regtype": ("timestamp with time zone",),
    "regrole": ("postgres",),
    "regnamespace": ("pg_catalog",),
    "regconfig": ("english",),
    "regdictionary": ("simple",),
    "regdatabase": ("postgres",),
    "uuid": ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",),
    "pg_lsn": ("0/0", "FFFFFFFF/FFFFFFFF"),
    "pg_snapshot": ("10:20:10,14,15",),
    "txid_snapshot": ("10:20:10,14,15",),
    "tsvector": ("'a':1A 'b c':2", ""),
    "tsquery": ("'a' & !'b'", ""),
    "int4range": ("[1,10)", "empty", "(,)"),
    "int8range": ("[1,10)", "empty"),
    "numrange": ("[1.10,2.0]", "empty"),
    "tsrange": ('["2024-01-01 00:00:00",infinity]',),
    "tstzrange": ('["2024-01-01 00:00:00+00",)',),
    "daterange": ("[2024-01-01,2024-02-01)", "(,infinity)"),
    "int4multirange": ("{[1,3),[5,7)}", "{}"),
    "int8multirange": ("{[1,3)}", "{}"),
    "nummultirange": ("{[1.10,2.0]}",),
    "tsmultirange": ("{}",),
    "tstzmultirange": ("{}",),
    "datemultirange": ("{[2024-01-01,2024-02-01)}",),
}
# Spellings with modifiers and types of the user's own.
MORE = {
    "numeric(12,2)": ("-1234567890.10", "0"),
    "numeric(38,10)": ("1234567890123456789012345678.0123456789", "1e-10"),
    "numeric(5,-2)": ("12345", "-9999900"),
    "numeric(3,5)": ("0.00123", "-0.00999"),
    "numeric(50,10)": (f"{'9' * 40}.1234567891",),
    "numeric(38,-2)": ("1" * 40,),
    "varchar(10)": ("", "ü"),
    "char(3)": ("ab",),
    "bit(3)": ("101",),
    "timestamptz(3)": ("2024-02-29 01:02:03.123456+00",),
    "interval day to second(2)": ("1 day 02:03:04.567",),
    "public.mood": ("merry", "glum, really"),
    "public.pair": ('(1,"a b")', "(,)"),
    "public.floats": ("[1.5,2)",),
}


@dataclass(frozen=True)
class Case:
    """A column and its values, a text a row; short columns repeat their last."""

    name: str
    spelling: str
    values: tuple[str, ...]


def cases(cursor: Any) -> Iterator[Case]:
    cursor.execute(
        "SELECT t.typname, t.typname = 'xml' AND NOT EXISTS (SELECT FROM pg_config WHERE setting LIKE '%%--with-libxml%%') FROM pg_type t"
        " WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'm') AND t.typcategory <> 'A' ORDER BY 1"
    )
    for name, left_out in cursor.fetchall():
        if name in NO_INPUT or left_out:
            continue
        values = VALUES[name]  # a type that this table lacks is new in PostgreSQL
        yield Case(f"t_{name}", f'pg_catalog."{name}"', values)
        yield Case(f"d_{name}", f"public.d_{name}", values)
        if name not in ("int2vector", "oidvector"):
            yield Case(f"a_{name}", f'pg_catalog."{name}"[]', values)
    yield from (Case(f"m_{number}", spelling, values) for number, (spelling, values) in enumerate(MORE.items()))


def filled(database: Any) -> list[Case]:
    """A table ``everything`` with a column a case, and its rows; all NULL in the last."""
    database.run("CREATE TYPE mood AS ENUM ('merry', 'glum, really'); CREATE TYPE pair AS (n int, t text)")
    database.run("CREATE TYPE floats AS RANGE (subtype = float8)")
    with database.connection.cursor() as cursor:
        columns = list(cases(cursor))
    for case in columns:
        if case.name.startswith("d_"):
            database.run(f'CREATE DOMAIN {case.spelling} AS pg_catalog."{case.name[2:]}"')
    database.run(f"CREATE TABLE everything (id int PRIMARY KEY, {', '.join(f'{case.name} {case.spelling}' for case in columns)})")
    rows = max(len(case.values) for case in columns)
    for row in range(rows):
        insert(database, columns, row)
    database.run("INSERT INTO everything (id) VALUES (%s)", rows)
    return columns


def insert(database: Any, columns: list[Case], row: int) -> None:
    texts = [case.values[min(row, len(case.values) - 1)] for case in columns]
    marks = [f"ARRAY[%s, NULL]::{c.spelling}" if c.name.startswith("a_") else f"%s::{c.spelling}" for c in columns]
    database.run(f"INSERT INTO everything VALUES ({row}, {', '.join(marks)})", *texts)


def exported(dsn: str, contract: Contract) -> bytes:
    """What an export's object holds."""
    with take_snapshot(dsn, True) as snapshot, snapshot.connection.cursor() as cursor:
        body = io.BytesIO((",".join(header(contract)) + "\n").encode())
        body.seek(0, io.SEEK_END)
        for statement in copies(snapshot, contract, snapshot.taken_at):
            cursor.copy_expert(statement, body)
    return body.getvalue()


def read(body: bytes, name: str, contract: Path, out: Path) -> dict[int, dict[str, Any]]:
    file = out / name
    out.mkdir()
    file.write_bytes(gzip.compress(body))
    summary = convert(file, contract, out / "parts")
    assert summary["records_rejected"] == 0, pq.read_table(summary["quarantine"]).to_pylist()[0]
    return {row["id"]: row for part in summary["parts"] for row in pq.read_table(part).to_pylist()}


def test_every_type_is_the_same_by_load_change_and_export(database, replication, tmp_path):
    columns = filled(database)
    contract_file = tmp_path / "everything.yaml"
    written = yaml.safe_load(contract_yaml(database.dsn, "public.everything"))
    for column in written["schema"][0]["properties"]:
        column["classification"] = "public"
        if column["physicalType"] in ("real", "double precision"):
            column["customProperties"] = [{"property": "allowNaN", "value": True}]
    contract_file.write_text(yaml.safe_dump(written))
    contract = parse_contract(contract_file.read_text(), "everything.yaml")
    replication.start("public.everything")
    replication.settle()
    database.run("CREATE TABLE kept AS SELECT * FROM everything; DELETE FROM everything; INSERT INTO everything SELECT * FROM kept")
    replication.settle()

    lines = TableLines(contract)
    found = [
        (message.operation, lines.write(message).data)
        for record in replication.records()
        if (message := read_exact(record["Data"])).table == "everything" and message.kind == "data"
    ]
    by_load, by_change = (
        read(b"".join(data for operation, data in found if operation == wanted), f"{wanted}.json.gz", contract_file, tmp_path / wanted)
        for wanted in ("load", "insert")
    )
    by_export = read(exported(database.dsn, contract), "export.csv.gz", contract_file, tmp_path / "csv")

    assert len(by_load) == len(by_change) == len(by_export) == max(len(case.values) for case in columns) + 1
    with closing(psycopg2.connect(database.dsn, options=SESSION_OPTIONS)) as connection, connection.cursor() as cursor:
        for case in columns:
            cursor.execute(
                f"SELECT id, CASE WHEN {case.name} IS NOT DISTINCT FROM NULL THEN NULL ELSE format('%s', {case.name}) END FROM everything"
            )
            expected = dict(cursor.fetchall())
            for road, rows in (("load", by_load), ("change", by_change), ("export", by_export)):
                got = {key: row[case.name] for key, row in rows.items()}
                assert {key: same(value, expected[key]) for key, value in got.items()} == expected, f"{case.name} by {road}"


def same(value: Any, text: str | None) -> Any:
    """PostgreSQL's ``text`` where ``value`` is that value of the lake, else the value as it is."""
    if value is None or text is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        return r"\x" + value.hex()
    if isinstance(value, datetime):
        return text if value.isoformat(" ") == datetime.fromisoformat(text).replace(tzinfo=UTC).isoformat(" ") else value
    if isinstance(value, Decimal):
        return text if value == Decimal(text) else value
    if isinstance(value, float):
        with np.errstate(over="ignore"):
            return text if str(value) in (str(float(text)), str(float(np.float32(text)))) else value
    return str(value)


def test_an_export_reads_the_table_alone_and_not_what_inherits_from_it(database):
    database.run("CREATE TABLE base (id int PRIMARY KEY, v int); CREATE TABLE child () INHERITS (base)")
    database.run("INSERT INTO base VALUES (1, 1); INSERT INTO child VALUES (1, 9), (2, 2)")

    lines = exported(database.dsn, parse_contract(contract_yaml(database.dsn, "public.base"), "base.yaml")).decode().splitlines()

    assert [line.split(",")[:2] for line in lines[1:]] == [["1", "1"]]


@pytest.mark.parametrize("encoding", ["SQL_ASCII"])
def test_an_export_of_bytes_without_an_encoding_loses_no_other_row(database):
    database.run(
        r"CREATE TABLE c (id int PRIMARY KEY, v varchar(20)); INSERT INTO c VALUES (1, 'plain'), (2, E'caf\xe9'), (3, E'caf\xc3\xa9')"
    )
    contract = parse_contract(contract_yaml(database.dsn, "public.c"), "c.yaml")

    lines = exported(database.dsn, contract).splitlines()

    assert [line.split(b",")[1] for line in lines[1:]] == [b"plain", b"caf\xe9", "café".encode()]
