"""A source's column may be called what the jobs themselves call things."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.jobs.domain import Lake, delete, insert, load, update

pytestmark = pytest.mark.integration

WORDS = (
    *("last", "is_delete", "valid_at", "image_rank", "loaded_generation", "last_generation", "last_position", "image_generation"),
    *("image_position", "image", "image_before", "txn", "next_txn", "newest", "first_change", "is_gone", "gone", "record"),
    *("old_record", "paired", "old_at", "committed", "found", "held", "known", "count", "broken_0", "broken_rules", "checked", "failed_0"),
    *("inherited_body", "inherits_body", "delivered", "versions", "order", "select", "year", "month", "s", "t", "target", "key"),
)
"""What the jobs have called their own columns and views, and words of SQL."""

CONTRACT = """
apiVersion: v3.0.2
kind: DataContract
id: words
version: 1.0.0
schema:
  - name: words
    physicalName: app.words
    properties:
      - {name: at, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1, required: true}
      - {name: größe, physicalType: bigint, primaryKey: true, primaryKeyPosition: 2, required: true}
      - {name: until, physicalType: timestamptz}
      - {name: body, physicalType: text, classification: public}
      - {name: photo, physicalType: bytea}
      - {name: unique_one, physicalType: bigint, quality: [{metric: duplicateValues, severity: quarantine}]}
%s
    customProperties:
      - {property: history, value: true}
      - {property: partition, value: {column: until, unit: timestamp, year: jahr, month: monat}}
"""


@pytest.fixture
def lake(make_lake: Callable[[Path], Lake], tmp_path: Path) -> Lake:
    columns = "\n".join(f"      - {{name: {word}, physicalType: integer}}" for word in WORDS)
    quality = "quality: [{metric: duplicateValues, severity: quarantine}]"
    columns = columns.replace("{name: count, physicalType: integer}", f"{{name: count, physicalType: integer, {quality}}}")
    (tmp_path / "words.yaml").write_text(CONTRACT % columns)
    return make_lake(tmp_path)


def image(number: int, value: int, body: str) -> dict[str, Any]:
    """A row whose every word holds ``value``, in the month of that number."""
    words = dict.fromkeys(WORDS, value) | {"count": number, "unique_one": number}
    return {"at": number, "größe": number, **words, "until": datetime(2024, value, 1, tzinfo=UTC), "body": body}


def test_a_table_of_the_jobs_own_words_is_merged_with_history_and_partition(lake: Lake) -> None:
    lake.fence("words", 0)
    lake.arrives(load("words", 1, **image(1, 1, "one"), photo=b"\xff"), load("words", 1, **image(2, 1, "two")))
    lake.merge()
    lake.arrives(
        update("words", 10, **image(1, 2, "one")),
        delete("words", 20, at=2, größe=2),
        insert("words", 30, **image(3, 3, "three")),
        insert("words", 31, **image(4, 3, "four") | {"count": 3}),  # breaks the rule of unique values, as number 3 does
    )
    lake.merge()
    lake.arrives(
        delete("words", 40, at=1, größe=1),  # the key 1 becomes 5, and text and photo are left out
        update("words", 40.1, unchanged=("body", "photo"), **image(5, 4, "") | {"body": None}),
    )
    lake.merge()

    live = lake.live_rows("words", "at", "body", *WORDS)
    assert [(row["at"], row["body"], {row[word] for word in WORDS if word != "count"}) for row in live] == [(5, "one", {4})]
    versions = [(row["at"], row["last"], row["body"]) for row in lake.rows("words_history") if row["is_current"]]
    assert sorted(versions) == [(3, 3, "three"), (4, 3, "four"), (5, 4, "one")]
