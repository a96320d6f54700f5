"""SHOW and DESCRIBE: statements about the catalog, in Hive's words, read by their form.

https://docs.aws.amazon.com/athena/latest/ug/ddl-reference.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from datamaster.athena.failures import NotAnswered

_NAME = r'[`"]?{}[\w$-]+)[`"]?'
_DATABASE, _TABLE, _ALSO = (_NAME.format(f"(?P<{name}>") for name in ("database", "table", "also"))
_OF_TABLE = rf"(?:{_DATABASE}\s*\.\s*)?{_TABLE}"
_IN = rf"(?:\s+(?:IN|FROM)\s+{_DATABASE})?"
_PATTERN = r"(?:\s+(?:LIKE\s+)?'(?P<pattern>[^']*)')?"
_FORMS = {
    "DATABASES": rf"SHOW\s+(?:DATABASES|SCHEMAS){_PATTERN}",
    "TABLES": rf"SHOW\s+TABLES{_IN}{_PATTERN}",
    "VIEWS": rf"SHOW\s+VIEWS{_IN}{_PATTERN}",
    "COLUMNS": rf"SHOW\s+COLUMNS\s+(?:IN|FROM)\s+{_OF_TABLE}(?:\s+(?:IN|FROM)\s+{_ALSO})?",
    "PARTITIONS": rf"SHOW\s+PARTITIONS\s+{_OF_TABLE}",
    "TBLPROPERTIES": rf"SHOW\s+TBLPROPERTIES\s+{_OF_TABLE}(?:\s*\(\s*['\"](?P<pattern>[^'\"]*)['\"]\s*\))?",
    "CREATE TABLE": rf"SHOW\s+CREATE\s+TABLE\s+{_OF_TABLE}",
    "CREATE VIEW": rf"SHOW\s+CREATE\s+VIEW\s+{_OF_TABLE}",
    "DESCRIBE": rf"DESC(?:RIBE)?\s+(?:EXTENDED\s+|FORMATTED\s+)?{_OF_TABLE}",
}
_READERS = {kind: re.compile(form, re.IGNORECASE) for kind, form in _FORMS.items()}


@dataclass(frozen=True)
class Show:
    """``SHOW <kind>``, or DESCRIBE. ``pattern`` filters names. For TBLPROPERTIES it is the requested property."""

    kind: str
    database: str | None = None
    table: str | None = None
    pattern: str | None = None


def read_show(text: str) -> Show | None:
    """The statement if it is one about the catalog. Raises ``NotAnswered`` for a SHOW that is not answered here."""
    for kind, reader in _READERS.items():
        if found := reader.fullmatch(text):
            parts = found.groupdict()
            database = parts.pop("also", None) or parts.get("database")
            return Show(kind, database, parts.get("table"), parts.get("pattern"))
    if re.match(r"SHOW\b", text, re.IGNORECASE):
        words = re.findall(r"\w+", text)
        raise NotAnswered(" ".join(words[:3]).upper(), "the local Athena does not answer it")
    return None
