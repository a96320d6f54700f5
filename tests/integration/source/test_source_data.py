"""Generated and real rows in a real PostgreSQL, and the workload on them."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from beer import churn, generate

pytestmark = pytest.mark.integration


def everything(database):
    return {table: database.run(f"SELECT * FROM dm_core.{table} ORDER BY 1") for table in generate.TABLES}


def fingerprint(database):
    """A number for each table that changes with any of its values."""
    return [
        database.run(f"SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM dm_core.{table} t") for table in generate.TABLES
    ]


def test_generated_rows_fill_every_table_and_obey_the_foreign_keys(database):
    generate.create_schema(database.dsn)

    loaded = generate.load_generated(database.dsn, 2_000, seed=3)

    rows = everything(database)
    assert [len(rows[table]) for table in generate.TABLES] == [loaded.brewery, loaded.beer, loaded.profile, loaded.review]
    assert loaded.review == 2_000
    brewery_of = {row[0]: row[1] for row in rows["beer"]}
    assert all(brewery_of[review[2]] == review[1] for review in rows["review"])


def test_a_folder_of_real_rows_is_loaded_as_it_is_and_reviews_are_made_over_its_ids(database, tmp_path):
    files = {
        "brewery": 'brewery_id,brewery_name\n7,"Plzeň, a. s."\n',
        "beer": 'beer_id,brewery_id,beer_name,beer_style,beer_abv\n70,7,"The ""Old"" One",,\n71,7,Světlé,"",4.5\n',
        "profile": "profile_id,profile_name,email,state\n700,anna,anna@example.org,CA\n701,NULL,,\n",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    generate.create_schema(database.dsn)

    loaded = generate.load_real(database.dsn, tmp_path, reviews=50)

    rows = everything(database)
    assert rows["brewery"] == [(7, "Plzeň, a. s.")]
    assert rows["beer"] == [(70, 7, 'The "Old" One', None, None), (71, 7, "Světlé", "", 4.5)]
    assert rows["profile"] == [(700, "anna", "anna@example.org", "CA"), (701, "NULL", None, None)]
    assert len(rows["review"]) == loaded.review == 50
    assert {review[1:4] for review in rows["review"]} <= {(7, beer, profile) for beer in (70, 71) for profile in (700, 701)}


def test_a_folder_without_one_of_the_files_is_a_clear_error(database, tmp_path):
    with pytest.raises(
        generate.MissingData, match=r"no brewery\.csv\.gz; a data folder holds brewery\.csv\.gz, beer\.csv\.gz and profile\.csv\.gz"
    ):
        generate.load_real(database.dsn, tmp_path, reviews=1)


@pytest.mark.skipif("DM_REAL_DATA" not in os.environ, reason="DM_REAL_DATA names no folder of real rows")
def test_the_real_rows_load_whole(database):
    generate.create_schema(database.dsn)

    loaded = generate.load_real(database.dsn, Path(os.environ["DM_REAL_DATA"]), reviews=10_000)

    assert (loaded.brewery, loaded.beer, loaded.profile, loaded.review) == (5_840, 66_055, 33_388, 10_000)


def test_the_workload_changes_all_tables_in_every_way_and_a_seed_decides_how(database):
    generate.create_schema(database.dsn)
    generate.load_generated(database.dsn, 1_000)
    before = everything(database)
    seen = []
    for _ in range(2):
        database.run("TRUNCATE dm_core.brewery, dm_core.beer, dm_core.profile, dm_core.review")
        generate.load_generated(database.dsn, 1_000)
        counts = churn.run(database.dsn, 3_000, seed=5)
        seen.append((counts, fingerprint(database)))

    assert seen[0] == seen[1]
    assert counts.changes == 3_000
    assert min(counts.inserts, counts.updates, counts.deletes, counts.key_changes, counts.re_inserts, counts.month_moves) > 50
    assert counts.transactions < 1_000
    after = everything(database)
    assert all(before[table] != after[table] for table in generate.TABLES)


def test_the_workload_keeps_to_its_rate(database):
    generate.create_schema(database.dsn)
    generate.load_generated(database.dsn, 500)
    started = database.run("SELECT clock_timestamp()")[0][0]

    churn.run(database.dsn, 200, rate=200)

    seconds = (database.run("SELECT clock_timestamp()")[0][0] - started).total_seconds()
    assert seconds >= 0.95
