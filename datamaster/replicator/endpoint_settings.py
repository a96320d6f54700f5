"""The settings of the target endpoint that change what DMS writes, read from the template that makes it.

https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.Kinesis.html
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from datamaster.aws.cloudformation.reading import read_template
from datamaster.project import PROJECT
from datamaster.source.pg_catalog import Table
from datamaster.source.value_forms import rounded

TEMPLATE = PROJECT / "templates" / "streaming-dms.yaml"
LARGE_INTEGERS = "uselargeintegervalue=true"


def extra_connection_attributes() -> str:
    """The attributes that the template gives to the target endpoint."""
    target = read_template(TEMPLATE.read_text(encoding="utf-8"))["Resources"]["Target"]["Properties"]
    return str(target.get("ExtraConnectionAttributes", ""))


def keeps_large_integers(attributes: str) -> bool:
    """Whether integers of more than 16 digits are written whole."""
    return LARGE_INTEGERS in attributes.replace(" ", "").lower().split(";")


@lru_cache
def with_rounded_integers(table: Table) -> Table:
    """The table as DMS writes it without that attribute."""
    columns = (replace(c, form=replace(c.form, write=rounded)) if c.form.dms == "INT64" else c for c in table.columns)
    return replace(table, columns=tuple(columns))
