"""The replicator writes integers as DMS does under the target endpoint's own setting."""

from __future__ import annotations

import orjson
import pytest

from datamaster.replicator import endpoint_settings
from datamaster.replicator.endpoint_settings import extra_connection_attributes, keeps_large_integers, with_rounded_integers
from datamaster.replicator.messages import load_record
from datamaster.source.pg_catalog import SourceColumn, Table
from datamaster.source.value_forms import BY_NAME
from ingest.routing import Router
from ingest.transformation import Transformation
from lake.contract import ContractSet

CONTRACT = """
apiVersion: v3.0.2
kind: DataContract
version: 1.0.0
schema:
  - name: item
    physicalName: shop.item
    properties:
      - {name: id, physicalType: bigint, primaryKey: true}
"""
ITEM = Table("shop", "item", (SourceColumn("id", BY_NAME["bigint"], False, 20),), ("id",))
LONG = b"1234567890123456789"


def test_the_template_asks_for_whole_integers(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    assert keeps_large_integers(extra_connection_attributes())

    former = endpoint_settings.TEMPLATE.read_text().replace("      ExtraConnectionAttributes: useLargeIntegerValue=true\n", "")
    (tmp_path / "former.yaml").write_text(former)
    monkeypatch.setattr(endpoint_settings, "TEMPLATE", tmp_path / "former.yaml")
    assert not keeps_large_integers(extra_connection_attributes())


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        (b"9999999999999999", b"9999999999999999"),
        (b"-9999999999999999", b"-9999999999999999"),
        (b"10000000000000000", b"1e+16"),
        (LONG, b"1.2345678901234568e+18"),
    ],
)
def test_without_the_setting_an_integer_of_more_than_16_digits_has_an_exponent(text: bytes, sent: bytes) -> None:
    assert b'"data":{"id":' + sent + b"}" in load_record(with_rounded_integers(ITEM), [text]).data
    assert b'"data":{"id":' + text + b"}" in load_record(ITEM, [text]).data


def test_a_key_that_lost_digits_is_refused_and_never_becomes_another() -> None:
    transformation = Transformation(Router(ContractSet.of({"item.yaml": CONTRACT})))

    assert transformation.refusal(load_record(ITEM, [LONG]).data) is None
    reason = transformation.refusal(load_record(with_rounded_integers(ITEM), [LONG]).data)

    assert reason is not None
    assert "id" in reason
    assert orjson.loads(load_record(with_rounded_integers(ITEM), [b"7"]).data)["data"] == {"id": 7}
