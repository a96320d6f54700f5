"""docs/contract.md and docs/contract.schema.json, generated from the properties that the reader of contracts knows.

``python -m datamaster.aws.pages.contract_page > docs/contract.md`` and ``dm contract schema > docs/contract.schema.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from lake.contract.properties import FILE, SECTIONS
from lake.contract.valid import Property, Section

EXAMPLE = """\
# yaml-language-server: $schema=contract.schema.json
apiVersion: v3.0.2
kind: DataContract
id: shop-orders
version: 1.0.0
status: active
schema:
  - name: orders
    physicalName: shop."Orders"
    description: One line a purchase.
    properties:
      - {name: order_id, physicalType: bigint, primaryKey: true}
      - {name: ordered_at, physicalType: timestamptz, required: true}
      - {name: customer_email, physicalType: text, classification: personal, customProperties: [{property: mask, value: partial}]}
      - {name: amount, physicalType: "numeric(12,2)", quality: [{metric: range, mustBeBetween: [0, 100000], severity: quarantine}]}
      - {name: weight, physicalType: double precision, customProperties: [{property: allowNaN, value: true}]}
      - {name: comment, physicalType: text, classification: internal, customProperties: [{property: renamedFrom, value: note}]}
    customProperties:
      - {property: partition, value: {column: ordered_at, year: order_year, month: order_month}}
      - {property: evolution, value: discard_value}
"""
_HEAD = f"""\
# Contracts

A contract is a YAML file. It describes one source table, and decides how its rows reach the lake. It follows the
[Open Data Contract Standard](https://bitol-io.github.io/open-data-contract-standard/) v3. This page lists every property that
the lake reads. It is generated from the table that drives the reader (`lake/contract/properties.py`).

```yaml
{EXAMPLE}```

| to | run |
|---|---|
| write one from the source's catalog | `dm contract init shop.orders` |
| check all of a folder | `dm contract check` |
| see the effect of a change on existing rows | `dm contract diff` |
| bring them into force | `dm contract publish` |
| complete and check them in an editor | `dm contract schema > contract.schema.json` beside them, with the example's first line in each |

A property without a value, or with null, has its default. A value of another form is refused with the valid ones. So is a
name that neither the lake nor the standard knows: a misspelled `classification` would otherwise leave a column unmasked.
The lake's own properties stand in `customProperties`, each as `{{property: NAME, value: VALUE}}`, there never null.
[Types](types.md) has the types of columns.
"""
_TAIL = """
## Elsewhere

- Derived tables have no contract. They are SQL files with a few comment lines ([batches.md](batches.md)).
- No contract says how long rows are kept: the lake keeps each row, also a deleted one, which is marked. Files on the way
  to it expire by rules of the stacks ([security.md](security.md)).
"""


def render() -> str:
    """The text of docs/contract.md."""
    return _HEAD + "".join(_section(section) for section in SECTIONS) + _TAIL


def _section(section: Section) -> str:
    own = [p for p in section.properties if not p.custom]
    text = f"\n## `{section.name}`\n\n{section.meaning}\n\n{_table(own)}"
    if section.customs:
        text += f"\nIn `customProperties`:\n\n{_table(p for p in section.properties if p.custom)}"
    for prop in section.properties:
        if prop.valid.meanings:
            rows = "".join(f"| `{value}` | {meaning} |\n" for value, meaning in prop.valid.meanings.items())
            text += f"\n| {prop.name} | meaning |\n|---|---|\n{rows}"
    if section.unread:
        text += f"\nThe lake does not read these names of the standard: {', '.join(f'`{name}`' for name in sorted(section.unread))}.\n"
    return text


def _table(properties: Iterable[Property]) -> str:
    return "| property | valid | default | meaning |\n|---|---|---|---|\n" + "".join(map(_row, properties))


def _row(prop: Property) -> str:
    name = f"`{prop.name}`" + (f", `{prop.alias}`" if prop.alias else "")
    default = "required" if prop.required else prop.otherwise or ("none" if prop.default is None else f"`{json.dumps(prop.default)}`")
    return f"| {name} | {prop.valid.words} | {default} | {prop.meaning} |\n"


def schema() -> dict[str, Any]:
    """The JSON Schema of a contract. It allows every file that the reader takes; rules between properties are the reader's alone."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A contract of Data Master",
        **_mapping(FILE),
        "definitions": {section.name: _mapping(section) for section in SECTIONS if section is not FILE},
    }


def _mapping(section: Section) -> dict[str, Any]:
    properties: dict[str, Any] = {name: {"description": "A name of the standard. The lake does not read it."} for name in section.unread}
    for prop in section.properties:
        if not prop.custom:
            properties |= {name: _value(prop) for name in (prop.name, prop.alias) if name}
    if section.customs:
        properties["customProperties"] = _customs(section)
    either = next(((prop.name, prop.alias) for prop in section.properties if prop.required and prop.alias), ())
    return {
        "type": "object",
        "description": section.meaning,
        "properties": properties,
        "required": [prop.name for prop in section.properties if prop.required and not prop.alias],
        "additionalProperties": False,
    } | ({"anyOf": [{"required": [name]} for name in either]} if either else {})


def _customs(section: Section) -> dict[str, Any]:
    customs = [prop for prop in section.properties if prop.custom]
    values = [
        {"if": {"properties": {"property": {"const": prop.name}}}, "then": {"properties": {"value": _value(prop)}}} for prop in customs
    ]
    names = {"enum": [prop.name for prop in customs], "enumDescriptions": [prop.meaning for prop in customs]}
    entry = {"type": "object", "properties": {"property": names}, "required": ["property", "value"], "allOf": values}
    return {"type": ["array", "null"], "description": "The lake's own properties.", "items": entry}


def _value(prop: Property) -> dict[str, Any]:
    """The schema of one property's value. Null stands for the default."""
    valid, about = prop.valid, {"description": prop.meaning} | ({} if prop.default is None else {"default": prop.default})
    found = {**valid.schema, **valid.hint}
    if valid.meanings:
        found["enumDescriptions"] = list(valid.meanings.values())
    if "pattern" in found:
        found["patternErrorMessage"] = valid.words
    return about | found if prop.required or prop.custom else about | {"anyOf": [found, {"type": "null"}]}


if __name__ == "__main__":
    print(render(), end="")
