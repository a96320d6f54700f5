"""Valid files of random contracts with one random damage each, and how a naive reader reads them.

The naive reader knows nothing of the converter: it counts records byte by byte, and takes the lines of the damaged file that
are still those of good rows.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lake.contract import Contract, parse_contract

TYPES = {
    "bigint": lambda rng: str(rng.randrange(-(2**63), 2**63)),
    "integer": lambda rng: str(rng.randrange(10**6)),
    "numeric(12,2)": lambda rng: f"{rng.randrange(10**6)}.{rng.randrange(100):02d}",
    "double precision": lambda rng: str(rng.randrange(1000) / 8),
    "date": lambda rng: f"2024-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
    "timestamptz": lambda rng: f"2024-01-{rng.randrange(1, 29):02d}T12:00:00Z",
}
TEXTS = ("ok", "Ghent", "a b", "São João", "7", "NULL")
QUOTED = ('say "hi"', "one, two", "", ",b", "two\nlines", "\nbehind a break")
NUMBERS = ("bigint", "integer", "numeric(12,2)", "double precision")


@dataclass(frozen=True)
class Case:
    """One file: what it was before the damage, and what is left of it.

    ``good`` is the one physical line of each row that has one, with the row's values; ``plain`` are the damaged bytes before
    compression, and ``packed`` the file, which a damage may spoil by itself.
    """

    contract: Contract
    name: str
    header: tuple[str, ...]
    good: dict[bytes, tuple[str | None, ...]]
    plain: bytes
    damage: str = "none"
    packed: bytes = b""
    spoilt: bool = field(default=False)

    @property
    def is_csv(self) -> bool:
        return ".csv" in self.name.lower()


def made(seed: int) -> Case:
    """The file of a seed."""
    rng = random.Random(seed)
    case = _valid(rng, knows_all=seed % 4 != 1)
    damage = rng.choice(DAMAGES)
    case = replace(damage(case, rng), damage=damage.__name__)
    return case if case.packed else replace(case, packed=gzip.compress(case.plain, 1, mtime=0))


def _valid(rng: random.Random, knows_all: bool) -> Case:
    some = rng.choice([["text"], ["text", "text", *TYPES]])
    kinds = [rng.choice(some) for _ in range(rng.randrange(3, 6))]
    key = rng.choice(["bigint", "text"])
    columns = [("id", key), *((f"c{n}", kind) for n, kind in enumerate(kinds))]
    contract = parse_contract(_contract(columns if knows_all or kinds[-1] != "text" else columns[:-1]), "random.yaml")
    header = tuple(name for name, _ in columns)
    is_csv = rng.random() < 0.6
    often = rng.choice([0.02, 0.02, 0.5])
    lines: list[bytes] = []
    good: dict[bytes, tuple[str | None, ...]] = {}
    for number in range(rng.randrange(1, 150)):
        values = [f"k{number}" if key == "text" else str(number)]
        values += [rng.choice(QUOTED if rng.random() < often else TEXTS) if kind == "text" else TYPES[kind](rng) for kind in kinds]
        line = _csv(values) if is_csv else _json(header, columns, values)
        lines.append(line)
        if b"\n" not in line[:-1]:
            good[line[:-1]] = tuple(values)
    if is_csv:
        lines.insert(0, ",".join(header).encode() + b"\n")
    return Case(contract, "rows.csv.gz" if is_csv else "rows.gz", header, good, b"".join(lines))


def _contract(columns: list[tuple[str, str]]) -> str:
    properties = "".join(
        f"      - {{name: {name}, physicalType: '{kind}', primaryKey: {str(name == 'id').lower()}, classification: internal}}\n"
        for name, kind in columns
    )
    return (
        "apiVersion: v3.0.2\nkind: DataContract\nid: random\nversion: 1.0.0\nstatus: active\nschema:\n"
        f"  - name: random\n    physicalName: shop.random\n    physicalType: table\n    properties:\n{properties}"
    )


def _csv(values: list[str]) -> bytes:
    cells = ('"' + value.replace('"', '""') + '"' if set(value) & set('",\n') or not value else value for value in values)
    return ",".join(cells).encode() + b"\n"


def _json(header: tuple[str, ...], columns: list[tuple[str, str]], values: list[str]) -> bytes:
    members = (
        f'"{name}":{value if kind in NUMBERS else json.dumps(value, ensure_ascii=False)}'
        for (name, kind), value in zip(columns, values, strict=True)
    )
    return ('{"operation":"load",' + ",".join(members) + "}").encode() + b"\n"


def _place(case: Case, rng: random.Random) -> int:
    return rng.randrange(len(case.plain) + 1)


def stray_quote(case: Case, rng: random.Random) -> Case:
    """A quote before a field, or anywhere."""
    places = [at + 1 for at in range(len(case.plain)) if case.plain[at : at + 1] in (b",", b"\n")]
    at = rng.choice(places) if rng.random() < 0.7 else _place(case, rng)
    return replace(case, plain=case.plain[:at] + b'"' + case.plain[at:])


def quotes_around_rows(case: Case, rng: random.Random) -> Case:
    """A quote before a row's text, and one behind the text of a later row."""
    others = {column.name for column in case.contract.columns if column.type.name != "text"}
    texts = [place for place, name in enumerate(case.header) if name not in others]
    lines = case.plain.split(b"\n")
    plain = [number for number, line in enumerate(lines) if number and line in case.good and b'"' not in line]
    if not case.is_csv or not texts or len(plain) < 2:
        return stray_quote(case, rng)
    place, (start, end) = rng.choice(texts), sorted(rng.sample(plain, 2))
    for number, mark in ((start, b'"%s'), (end, b'%s"')):
        fields = lines[number].split(b",")
        fields[place] = mark % fields[place]
        lines[number] = b",".join(fields)
    return replace(case, plain=b"\n".join(lines))


def lost_quote(case: Case, rng: random.Random) -> Case:
    """A quote less."""
    places = [at for at in range(len(case.plain)) if case.plain[at : at + 1] == b'"']
    if not places:
        return stray_quote(case, rng)
    at = rng.choice(places)
    return replace(case, plain=case.plain[:at] + case.plain[at + 1 :])


def cut(case: Case, rng: random.Random) -> Case:
    """The text ends anywhere."""
    return replace(case, plain=case.plain[: _place(case, rng)])


def swapped_bytes(case: Case, rng: random.Random) -> Case:
    """Two bytes change places."""
    data = bytearray(case.plain)
    one, other = rng.randrange(len(data)), rng.randrange(len(data))
    data[one], data[other] = data[other], data[one]
    return replace(case, plain=bytes(data))


def any_byte(case: Case, rng: random.Random) -> Case:
    """A byte becomes another."""
    data = bytearray(case.plain)
    data[rng.randrange(len(data))] = rng.randrange(256)
    return replace(case, plain=bytes(data))


def doubled_block(case: Case, rng: random.Random) -> Case:
    """A range of bytes stands twice."""
    start, end = sorted((_place(case, rng), _place(case, rng)))
    return replace(case, plain=case.plain[:end] + case.plain[start:end] + case.plain[end:])


def lost_block(case: Case, rng: random.Random) -> Case:
    """A range of bytes is missing."""
    start, end = sorted((_place(case, rng), _place(case, rng)))
    return replace(case, plain=case.plain[:start] + case.plain[end:])


def other_header(case: Case, rng: random.Random) -> Case:
    """A name in upper case, with a blank, missing or twice."""
    if not case.is_csv:
        return one_array(case, rng)
    names = list(case.header)
    at = rng.randrange(len(names))
    change: Callable[[str], str] = rng.choice([str.upper, " {}".format, "{} ".format, lambda _name: "", lambda _name: names[0]])
    names[at] = change(names[at])
    return replace(case, plain=",".join(names).encode() + b"\n" + case.plain.partition(b"\n")[2])


def header_again(case: Case, rng: random.Random) -> Case:
    """Another file's header, with or without its mark, amid the rows."""
    if not case.is_csv:
        return lines_together(case, rng)
    ends = [at + 1 for at in range(len(case.plain)) if case.plain[at : at + 1] == b"\n"]
    at = rng.choice(ends)
    return replace(
        case, plain=case.plain[:at] + rng.choice([b"", b"\xef\xbb\xbf"]) + case.plain.partition(b"\n")[0] + b"\n" + case.plain[at:]
    )


def other_encoding(case: Case, rng: random.Random) -> Case:
    """UTF-16 with or without a mark, or Latin-1."""
    encoding = rng.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
    return replace(case, plain=case.plain.decode().encode(encoding))


def other_line_ends(case: Case, rng: random.Random) -> Case:
    """Carriage returns instead of line feeds, or before them all."""
    return replace(case, plain=case.plain.replace(b"\n", rng.choice([b"\r", b"\r\n"])))


def one_array(case: Case, _rng: random.Random) -> Case:
    """Rows as one JSON array, a row a line."""
    return replace(case, plain=b"[\n" + case.plain.rstrip(b"\n").replace(b"\n", b",\n") + b"\n]\n")


def lines_together(case: Case, rng: random.Random) -> Case:
    """Line feeds become blanks: in a part of the file, or all."""
    start, end = rng.choice([(0, len(case.plain)), tuple(sorted((_place(case, rng), _place(case, rng))))])
    return replace(case, plain=case.plain[:start] + case.plain[start:end].replace(b"\n", b" ") + case.plain[end:])


def packed_wrongly(case: Case, rng: random.Random) -> Case:
    """Compressed twice, within a tar archive, cut, changed, or with a tail."""
    packed = gzip.compress(case.plain, 1, mtime=0)
    at = rng.randrange(10, len(packed))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("rows.csv")
        entry.size = len(case.plain)
        tar.addfile(entry, io.BytesIO(case.plain))
    spoilt = rng.choice(
        [
            packed[:at],
            gzip.compress(packed, 1, mtime=0),
            gzip.compress(archive.getvalue(), 1, mtime=0),
            packed[:at] + bytes([packed[at] ^ (1 << rng.randrange(8))]) + packed[at + 1 :],
            packed + b"some tail behind it",
        ]
    )
    return replace(case, packed=spoilt, spoilt=True)


def packed_in_members(case: Case, rng: random.Random) -> Case:
    """Several gzip members, zeros behind them, and an empty one: no damage."""
    at = _place(case, rng)
    members = (gzip.compress(part, 1, mtime=0) for part in (case.plain[:at], b"", case.plain[at:]))
    return replace(case, packed=b"".join(members) + bytes(rng.randrange(600)))


DAMAGES = (
    *(
        stray_quote,
        stray_quote,
        quotes_around_rows,
        quotes_around_rows,
        lost_quote,
        cut,
        swapped_bytes,
        any_byte,
        doubled_block,
        lost_block,
    ),
    *(other_header, header_again, header_again, other_encoding, other_line_ends, one_array, lines_together),
    *(packed_wrongly, packed_in_members),
)


def records_of(case: Case) -> int:
    """How many records a naive reader counts behind the header: not blank, a line feed ends one unless a quoted field holds it."""
    plain = case.plain.removeprefix(b"\xef\xbb\xbf")
    if not case.is_csv:
        return sum(1 for line in plain.split(b"\n") if line.strip(b" \t\r"))
    count, at = 0, 0
    while at < len(plain):
        end = _end_of_record(plain, at)
        count += plain[at:end].rstrip(b"\n") not in (b"", b"\r")
        at = end
    return count - 1


def _end_of_record(plain: bytes, at: int) -> int:
    in_quotes, at_start = False, True
    while at < len(plain):
        byte = plain[at : at + 1]
        at += 1
        if in_quotes:
            if byte == b'"' and plain[at : at + 1] == b'"':
                at += 1
            else:
                in_quotes = byte != b'"'
            at_start = False
        elif byte == b'"' and at_start:
            in_quotes = True
        elif byte == b"\n":
            return at
        else:
            at_start = byte == b","
    return at


def columns_left(case: Case) -> tuple[str, ...]:
    """The contract's columns that the file still names, be it in upper case or with blanks."""
    header = case.plain.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode("utf-8", "replace")
    names = [name.strip().lower() for name in header.split(",")]
    return tuple(column.name for column in case.contract.columns if column.name in names or not case.is_csv)


def lines_left(case: Case) -> Counter[tuple[str | None, ...]]:
    """The good rows whose lines still stand in the file, by what is left of their columns, each as often as it does."""
    body = case.plain.partition(b"\n")[2] if case.is_csv else case.plain
    lines = (line.removesuffix(b"\r") for line in body.split(b"\n"))
    places = [case.header.index(name) for name in columns_left(case)]
    return Counter(tuple(case.good[line][place] for place in places) for line in lines if line in case.good)
