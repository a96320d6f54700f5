"""A source in PostgreSQL, the lake that is equal to it as real Iceberg tables, and Athena in front."""

from __future__ import annotations

import datetime
import hmac
import threading
import uuid
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal

import boto3
import psycopg2
import psycopg2.extras
import pyarrow as pa
import pytest
from pyiceberg.catalog.glue import GlueCatalog

from beer import CONTRACTS
from beer.generate import create_schema, load_generated
from beer.verify import checks
from datamaster.athena.__main__ import server
from datamaster.laptop import postgres
from datamaster.platform.query import Athena
from datamaster.verify import compare_lake
from lake.contract import ContractSet, contract_files
from lake.control import ControlTable

KEY = bytes(range(32))
UTC = datetime.UTC
STAMP = pa.timestamp("us", "UTC")
MEASURE = """
apiVersion: v3.0.2
kind: DataContract
version: 1.0.0
schema:
  - name: measure
    physicalName: dm_core.measure
    customProperties: [{property: history, value: true}]
    properties:
      - {name: sensor, physicalType: uuid, primaryKey: true, primaryKeyPosition: 1, required: true}
      - {name: day, physicalType: date, primaryKey: true, primaryKeyPosition: 2, required: true}
      - {name: price, physicalType: "numeric(12,2)", quality: [{metric: range, mustBeBetween: [0, 10], severity: warn}]}
      - {name: taken_at, physicalType: timestamptz}
      - {name: fine, physicalType: boolean}
      - {name: ratio, physicalType: real, customProperties: [{property: allowNaN, value: true}]}
      - {name: note, physicalName: updated_at, physicalType: text, classification: public}
      - {name: payload, physicalType: jsonb, classification: public}
      - {name: tags, physicalType: "text[]", classification: public}
      - {name: raw, physicalType: bytea}
      - {name: owner, physicalType: varchar(50), classification: personal, customProperties: [{property: mask, value: partial}]}
"""
PECULIAR = """
UPDATE dm_core.profile SET profile_name = E'a "quoted", name\\nof two lines', state = NULL
    WHERE profile_id = (SELECT min(profile_id) FROM dm_core.profile);
UPDATE dm_core.profile SET profile_name = '' WHERE profile_id = (SELECT max(profile_id) FROM dm_core.profile);
UPDATE dm_core.review SET review_overall = NULL WHERE review_id % 97 = 0;
CREATE TABLE dm_core.measure (
    sensor uuid, day date, price numeric(12,2), taken_at timestamptz, fine boolean, ratio real, updated_at text, payload jsonb, tags text[],
    raw bytea, owner varchar(50), PRIMARY KEY (sensor, day));
INSERT INTO dm_core.measure VALUES
    ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '2024-02-29', 12.5, '2024-01-01 01:00:00.000007+01', true, 0.1, '', '{"a":[1]}',
     '{a,"b c",NULL}', '\\x00ff', 'Ana Lima'),
    (gen_random_uuid(), '2024-01-01', NULL, NULL, NULL, 'NaN', NULL, NULL, NULL, NULL, NULL);
"""
SCHEMAS = {
    "brewery": {"brewery_id": pa.int64(), "brewery_name": pa.string()},
    "beer": dict.fromkeys(("beer_id", "brewery_id"), pa.int64())
    | dict.fromkeys(("beer_name", "beer_style"), pa.string())
    | {"beer_abv": pa.float64()},
    "profile": {"profile_id": pa.int64(), "profile_name": pa.string(), "email": pa.string(), "state": pa.string()},
    "review": dict.fromkeys(("review_id", "brewery_id", "beer_id", "profile_id"), pa.int64())
    | {f"review_{name}": pa.float64() for name in ("overall", "aroma", "appearance", "palate", "taste")}
    | {"review_time": pa.int64(), "review_year": pa.int32(), "review_month": pa.int32()},
    "measure": {
        "sensor": pa.string(), "day": pa.date32(), "price": pa.decimal128(12, 2), "taken_at": STAMP, "fine": pa.bool_(),
        "ratio": pa.float32(), "note": pa.string(), "payload": pa.string(), "tags": pa.string(), "raw": pa.binary(), "owner": pa.string(),
    },
}  # fmt: skip
FLAT = SCHEMAS["review"] | {"brewery_name": pa.string(), "beer_name": pa.string(), "beer_style": pa.string(), "beer_abv": pa.float64()}
FLAT |= {"profile_name": pa.string(), "state": pa.string()}
HISTORY = SCHEMAS["measure"] | {"valid_from": STAMP, "valid_to": STAMP, "is_current": pa.bool_()}
HISTORY |= {"cdc_generation": pa.int64(), "cdc_position": pa.string()}
RESULTS = {"table_name": pa.string(), "rule": pa.string(), "rows_failed": pa.int64()}
SOFT = {"created_at": STAMP, "updated_at": STAMP, "deleted_at": STAMP}
MONTH = {"review_year": pa.int32(), "review_month": pa.int32(), "rank": pa.int64()}
SHOWN = {"review_count": pa.int64(), "avg_overall": pa.float64()}
GOLD = {
    "top_beers_by_rating": MONTH | {"beer_id": pa.int64(), "beer_name": pa.string()} | SHOWN,
    "top_breweries_by_rating": MONTH | {"brewery_id": pa.int64(), "brewery_name": pa.string()} | SHOWN,
    "top_styles_by_popularity": MONTH | {"beer_style": pa.string()} | SHOWN | {"popularity": pa.float64()},
    "top_drinkers": MONTH | {"profile_id": pa.int64(), "profile_name": pa.string(), "state": pa.string()} | SHOWN,
    "state_by_review_volume": MONTH | {"state": pa.string()} | SHOWN,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    data = tmp_path_factory.mktemp("postgres") / "data"
    with postgres.start(data) as running:
        create_schema(running.dsn)
        load_generated(running.dsn, 4000)
        with psycopg2.connect(running.dsn) as connection, connection.cursor() as cursor:
            cursor.execute(PECULIAR)
        connection.close()
        yield running.dsn
    postgres.forget_data(data)


def known_contracts():
    return ContractSet.of(contract_files(CONTRACTS) | {"measure.yaml": MEASURE})


@pytest.fixture(scope="module")
def contracts():
    return known_contracts()


@pytest.fixture(scope="module")
def athena(lake_stacks, tmp_path_factory):
    running = server(0, "512MB", 2, tmp_path_factory.mktemp("spill"))
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield Athena(output=f"s3://{lake_stacks['storage']['LakeBucket']}/athena/", client=boto3.client("athena", endpoint_url=running.url))
    running.shutdown()
    thread.join()


class Lake:
    """Every table as rows, and as Iceberg tables that hold these rows unless a test writes others."""

    def __init__(self, emulator, bucket, rows):
        options = {"endpoint": emulator.endpoint, "access-key-id": "test", "secret-access-key": "test", "region": "us-east-1"}
        properties = {f"{service}.{name}": value for service in ("glue", "s3") for name, value in options.items()}
        self.catalog, self.bucket, self.rows = GlueCatalog("lake", **properties), bucket, rows
        self.changed = set()
        for table in rows:
            self.write(table, rows[table])

    def write(self, table, rows):
        """Replace a table's rows."""
        database = "dm_gold" if table in GOLD else "dm_silver"
        own = GOLD | {"review_flat": FLAT, "measure_history": HISTORY, "quality_results": RESULTS}
        schema = pa.schema(list((own.get(table) or SCHEMAS[table] | SOFT).items()))
        name = f"{database}.{table}"
        if not self.catalog.table_exists(name):
            self.catalog.create_table(name, schema, location=f"s3://{self.bucket}/{database}/{table}")
        self.catalog.load_table(name).overwrite(pa.Table.from_pylist(rows, schema))
        self.changed.add(table)

    def plant(self, table, fault):
        """Write a table with a fault: ``fault`` changes a copy of its rows."""
        rows = [dict(row) for row in self.rows[table]]
        fault(rows)
        self.write(table, rows)

    def restore(self):
        for table in list(self.changed):
            if not self.catalog.table_exists(f"{'dm_gold' if table in GOLD else 'dm_silver'}.{table}"):
                continue
            self.write(table, self.rows[table])
        self.changed.clear()


@pytest.fixture(scope="module")
def equal_lake(emulator, lake_stacks, source):
    ControlTable(lake_stacks["control"]["TableName"]).decisions.decide("profile", "email", {"decision": "personal", "seen": 200})
    built = Lake(emulator, lake_stacks["storage"]["LakeBucket"], lake_rows(source))
    built.changed.clear()
    return built


@pytest.fixture
def lake(equal_lake):
    yield equal_lake
    equal_lake.restore()


@pytest.fixture
def compared(lake, source, athena, contracts, lake_stacks):
    """Compare; returns the report."""
    control = ControlTable(lake_stacks["control"]["TableName"])
    return lambda key=KEY: compare_lake(source, athena, contracts, control, key, lambda _text: None, checks)


def lake_rows(dsn):
    """What the lake has to hold, computed row by row in Python."""
    with psycopg2.connect(dsn) as connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        rows = {}
        for table in SCHEMAS:
            as_text = ", updated_at AS note, payload::text, tags::text, sensor::text" if table == "measure" else ""
            cursor.execute(f"SELECT *{as_text} FROM dm_core.{table}")
            rows[table] = [{name: row[name] for name in SCHEMAS[table] if name in row} for row in cursor.fetchall()]
    connection.close()
    for profile in rows["profile"]:
        profile["email"] = profile["email"] and hmac.new(KEY, profile["email"].encode(), "sha256").hexdigest()
    for measure in rows["measure"]:
        measure["raw"] = None if measure["raw"] is None else bytes(measure["raw"])
        measure["owner"] = measure["owner"] and "A***"
    for review in rows["review"]:
        moment = datetime.datetime.fromtimestamp(review["review_time"], UTC)
        review["review_year"], review["review_month"] = moment.year, moment.month
    flat = [flat_row(review, *lookups) for lookups in [lookup_tables(rows)] for review in rows["review"]]
    gold = {table: gold_rows(flat, table) for table in GOLD}
    tombstone = dict(rows["brewery"][0], brewery_id=10**9, deleted_at=datetime.datetime(2024, 1, 1, tzinfo=UTC))
    rows["brewery"].append(tombstone)
    rows["measure_history"] = [version for measure in rows["measure"] for version in versions_of(measure)]
    rows["quality_results"] = [
        {"table_name": contract.table, "rule": rule.name, "rows_failed": int(contract.table == "measure")}
        for contract in known_contracts().tables.values()
        for rule in contract.quality_rules
    ]
    return rows | {"review_flat": flat} | gold


def versions_of(measure):
    """The row as it was for a day, with another price, and as it is."""
    first, changed = (datetime.datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2))
    place = {"cdc_generation": 0, "cdc_position": ""}
    past = measure | place | {"price": Decimal("1.00"), "valid_from": first, "valid_to": changed, "is_current": False}
    return [past, measure | place | {"valid_from": changed, "valid_to": None, "is_current": True}]


def lookup_tables(rows):
    return tuple({row[f"{table}_id"]: row for row in rows[table]} for table in ("brewery", "beer", "profile"))


def flat_row(review, breweries, beers, profiles):
    brewery, beer, profile = breweries[review["brewery_id"]], beers[review["beer_id"]], profiles[review["profile_id"]]
    taken = {name: beer[name] for name in ("beer_name", "beer_style", "beer_abv")}
    return review | taken | {"brewery_name": brewery["brewery_name"], "profile_name": profile["profile_name"], "state": profile["state"]}


def gold_rows(flat, table):
    keys = [name for name in GOLD[table] if name not in MONTH and name not in SHOWN and name != "popularity"]
    groups = defaultdict(list)
    for row in flat:
        groups[(row["review_year"], row["review_month"], *(row[key] for key in keys))].append(row["review_overall"])
    months = defaultdict(list)
    for (year, month, *values), scores in groups.items():
        if table in ("top_beers_by_rating", "top_breweries_by_rating") and len(scores) < 25:
            continue
        rated = [Decimal(score) for score in scores if score is not None]
        average = float((sum(rated) / len(rated)).quantize(Decimal("0.01"), ROUND_HALF_UP)) if rated else None
        shown = dict(zip(keys, values, strict=True)) | {"review_count": len(scores), "avg_overall": average}
        if table == "top_styles_by_popularity":
            shown["popularity"] = None if average is None else round(len(scores) * average, 2)
        months[year, month].append(shown)
    return [
        {"review_year": year, "review_month": month, "rank": rank} | row
        for (year, month), rows in months.items()
        for rank, row in enumerate(sorted(rows, key=lambda row: order(table, row)), 1)
    ]


def order(table, row):
    """Nulls come last, numbers the greatest first, names and ids the smallest first."""
    down = {"top_beers_by_rating": ("avg_overall", "review_count"), "top_styles_by_popularity": ("popularity", "review_count")}
    down["top_breweries_by_rating"] = down["top_beers_by_rating"]
    up = {"top_beers_by_rating": "beer_id", "top_breweries_by_rating": "brewery_id", "top_styles_by_popularity": "beer_style"}
    up |= {"top_drinkers": "profile_id", "state_by_review_volume": "state"}
    numbers = [(row[name] is None, -(row[name] or 0)) for name in down.get(table, ("review_count",))]
    name = row[up[table]]
    return (*numbers, name is None, name if name is not None else "")


def new_sensor():
    return str(uuid.uuid4())
