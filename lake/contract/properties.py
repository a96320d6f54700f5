"""Every property of a contract: its place, valid values, default and meaning.

The reader, its messages, docs/contract.md and docs/contract.schema.json are made from these sections. The names follow the
Open Data Contract Standard v3. The lake's own properties stand in a ``customProperties`` list, as the standard asks.
"""

from __future__ import annotations

from lake.contract.model import DEFAULT_REJECT_RATIO
from lake.contract.valid import Property, Section, Valid
from lake.contract.valid_values import (
    COLUMN_NAME,
    FLAG,
    FORMER,
    LOGICALS,
    MONTH_FIELD,
    NAME,
    NUMBER,
    SOURCE,
    TABLE_NAME,
    TARGET,
    TEXT,
    TYPE,
    UNITS,
    WHOLE,
    bounds_problem,
    choice,
    list_of,
    mapping_of,
    one_of,
)
from lake.types import RULES

METRICS = {
    "nullValues": "not_null",
    "duplicateValues": "unique",
    "invalidValues": "accepted_values",
    "range": "range",
    "reference": "reference",
}
_OF_ELEMENTS = ("authoritativeDefinitions", "businessName", "deprecated", "id", "synonyms", "tags")


ARGUMENTS = Section(
    "arguments",
    "The values of a quality rule.",
    (
        Property("column", NAME, "The column of a rule that stands at the table.", otherwise="the column at which the rule stands"),
        Property("minimum", NUMBER, "The lowest valid value of a `range`.", otherwise="no lower bound"),
        Property("maximum", NUMBER, "The highest valid value of a `range`.", otherwise="no upper bound"),
        Property("validValues", Valid("a list of values", {"type": "array", "minItems": 1}), "The valid values of `invalidValues`."),
        Property("to", TARGET, "The key that a `reference` has to find among the live rows of another table."),
    ),
)
RULE = Section(
    "quality",
    "A quality rule, asked of each batch before it is merged. Its result is a row of `dm_silver.quality_results`.",
    (
        Property(
            "metric",
            choice(
                nullValues="a value is null",
                duplicateValues="two rows have the same value",
                invalidValues="a value is none of `arguments.validValues`",
                range="a value lies outside `mustBeBetween`, or outside `arguments.minimum` and `arguments.maximum`",
                reference="the value is no key of the table that `arguments.to` names",
            ),
            "What breaks the rule.",
            required=True,
            alias="rule",
        ),
        Property("name", TEXT, "The rule's name in results and alarms.", otherwise="column, kind and number of the rule"),
        Property(
            "severity",
            choice(
                warn="the rows are merged, and counted",
                quarantine="the rows go to the quarantine, the others are merged",
                stop="the batch fails, and nothing of it is merged",
            ),
            "What happens to rows that break the rule.",
            default="warn",
        ),
        Property(
            "mustBeBetween",
            Valid("[lowest, highest]", {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}, bounds_problem),
            "The valid values of a `range`, both bounds included.",
            otherwise="the bounds in `arguments`",
        ),
        Property("arguments", mapping_of(ARGUMENTS), "Values that the metric needs."),
    ),
    (
        *("authoritativeDefinitions", "businessImpact", "customProperties", "description", "dimension", "engine", "id", "implementation"),
        *("method", "mustBe", "mustBeGreaterOrEqualTo", "mustBeGreaterThan", "mustBeLessOrEqualTo", "mustBeLessThan", "mustNotBe"),
        *("mustNotBeBetween", "query", "schedule", "scheduler", "tags", "type", "unit"),
    ),
)
RELATION = Section(
    "relationships",
    "A key of another table.",
    (Property("to", TARGET, "Table and column in the lake.", required=True),),
    ("customProperties", "from", "id", "type"),
)
PARTITION = Section(
    "partition",
    "Rows lie by the UTC year and month of one column. Rows without a month within the years 1 to 9999 lie in month 0 of year 0.",
    (
        Property("column", NAME, f"The column: {', '.join(rule.name for rule in RULES if rule.units)}.", required=True),
        Property(
            "unit",
            Valid(f"one of {', '.join(UNITS)}", {"type": "string"}, hint={"enum": UNITS}),
            "The meaning of the column's value: "
            + ", ".join(f"{' or '.join(rule.units)} ({rule.name})" for rule in RULES if rule.units)
            + ".",
            otherwise="the first that the column's type allows",
        ),
        Property("year", MONTH_FIELD, "The name of the field with the year.", required=True),
        Property("month", MONTH_FIELD, "The name of the field with the month.", required=True),
    ),
)
COLUMN = Section(
    "properties",
    "A column of the table.",
    (
        Property("name", COLUMN_NAME, "The column's name in the lake. Engines ignore case.", required=True),
        Property("physicalName", TEXT, "The column's name in the source.", otherwise="the same as `name`"),
        Property("physicalType", TYPE, "The column's type, as PostgreSQL spells it.", required=True),
        Property("logicalType", one_of(LOGICALS), "The standard's word for the type. It has to fit.", otherwise="the type's own"),
        Property("description", TEXT, "Words for readers."),
        Property("required", FLAG, "A row without a value is refused. Columns of the key are always required.", default=False),
        Property("primaryKey", FLAG, "The column is part of the key by which rows are merged.", default=False),
        Property("primaryKeyPosition", WHOLE, "The column's place in a key of more than one column.", default=1),
        Property(
            "classification",
            choice(
                public="never masked",
                internal="never masked",
                personal="masked in every layer, only for text",
            ),
            "Who may see the values.",
            otherwise="detection decides on columns of free text, and masks until it has decided; other columns are never masked",
        ),
        Property(
            "relationships",
            list_of(RELATION, "a list of one mapping, {to: table.column}"),
            "The key that the column holds. Detection leaves such a column alone.",
        ),
        Property("quality", list_of(RULE, "a list of rules, each a mapping with metric"), "Rules of the column's values."),
        Property(
            "mask",
            choice(
                hash="HMAC-SHA-256 with the platform's key: equal values stay equal, across tables too",
                partial="the first character, and the domain of an e-mail address",
                redact="the word [redacted]",
                null="null; write it in quotes, since YAML reads null otherwise",
            ),
            "The form of the values if the column is masked. Keys and references may only be hashed.",
            default="hash",
            custom=True,
        ),
        Property(
            "unchanged",
            FLAG,
            "An update may leave the column out, as PostgreSQL does with values stored out of line. The row keeps its value.",
            otherwise=f"true for {', '.join(rule.name for rule in RULES if rule.unbounded)} and varchar without a length, false for others",
            custom=True,
        ),
        Property(
            "allowNaN", FLAG, "NaN and infinity are values of a real or double. Else such a row is refused.", default=False, custom=True
        ),
        Property(
            "renamedFrom",
            FORMER,
            "Former names of the column in the lake: rows written under them keep their values.",
            default=[],
            custom=True,
        ),
        Property(
            "physicalRenamedFrom",
            FORMER,
            "Former names of the column in the source: changes from before its rename are read by them.",
            otherwise="the same as `renamedFrom`",
            custom=True,
        ),
    ),
    (
        *(*_OF_ELEMENTS, "criticalDataElement", "encryptedName", "enum", "examples", "items", "logicalTypeOptions", "map"),
        *("partitionKeyPosition", "partitioned", "properties", "semanticType", "transformDescription", "transformLogic"),
        *("transformSourceObjects", "unique"),
    ),
)
TABLE = Section(
    "schema",
    "The table.",
    (
        Property("name", TABLE_NAME, "The table's name in the lake.", required=True),
        Property("physicalName", SOURCE, 'Schema and table in the source, e.g. `shop.orders` or `shop."v1.prices"`.', required=True),
        Property("description", TEXT, "Words for readers."),
        Property(
            "properties",
            list_of(COLUMN, "a list of columns, at least one", minItems=1),
            "The columns, in the order of the lake's tables.",
            required=True,
        ),
        Property(
            "quality", list_of(RULE, "a list of rules, each a mapping with metric"), "Rules that name their column in `arguments.column`."
        ),
        Property(
            "partition",
            mapping_of(PARTITION),
            "The months by which rows lie, batches merge and derived tables are built. Give it to tables that grow.",
            otherwise="the table lies in one piece",
            custom=True,
        ),
        Property(
            "evolution",
            choice(
                evolve="the row is taken, the value kept in `_extra`",
                freeze="the file fails",
                discard_row="the row is rejected",
                discard_value="the row is taken, the value dropped and counted",
            ),
            "What happens to a value of a column that the contract does not name.",
            default="evolve",
            custom=True,
        ),
        Property(
            "rejectRatio",
            Valid("a number from 0 to 1", {"type": "number", "minimum": 0, "maximum": 1}),
            "The share of rejected records, and of the lines they take, above which a file fails. Files of changes may have more.",
            default=DEFAULT_REJECT_RATIO,
            custom=True,
        ),
        Property(
            "cdc", FLAG, "The stream carries the table's changes. With false it is taken by exports alone.", default=True, custom=True
        ),
        Property("history", FLAG, "Every version of every row is kept in `<table>_history`.", default=False, custom=True),
        Property(
            "exportWatermark", NAME, "The column from whose last value the next export reads.", otherwise="exports are whole", custom=True
        ),
        Property("exportLateness", WHOLE, "Seconds before the watermark from which a delta reads again.", default=0, custom=True),
    ),
    (*_OF_ELEMENTS, "context", "dataGranularityDescription", "logicalType", "physicalType", "relationships"),
)
FILE = Section(
    "contract",
    "A file describes one table.",
    (
        Property(
            "apiVersion",
            Valid("a version of the standard that begins with v3.", {"type": "string", "pattern": r"^v3\."}),
            "The standard's version.",
            required=True,
        ),
        Property("kind", one_of(("DataContract",)), "The kind of document.", required=True),
        Property(
            "version",
            Valid("a version, e.g. 1.0.0", {"type": ["string", "number"], "pattern": "."}),
            "The contract's version.",
            required=True,
        ),
        Property(
            "schema",
            list_of(TABLE, "a list of one table", minItems=1, maxItems=1),
            "The table.",
            required=True,
        ),
    ),
    (
        *("authoritativeDefinitions", "context", "contractCreatedTs", "customProperties", "dataProduct", "description", "domain", "id"),
        *("name", "price", "roles", "servers", "slaDefaultElement", "slaProperties", "status", "support", "tags", "team", "tenant"),
    ),
)
SECTIONS = (FILE, TABLE, COLUMN, PARTITION, RULE, ARGUMENTS, RELATION)
