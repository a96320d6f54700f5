"""The conversion of one file, from compressed bytes to Parquet. All entry points share it.

It knows neither AWS nor the control table. Bytes come from a source, objects go to a sink, and the caller publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from convert.conversion_errors import OpenQuote
from convert.masking import Masker
from convert.parquet import PartWriter
from convert.parse import Block, BlockParser, BlockReader, GzipStream, ParsedBlock, Reason, RecordTooLong, RowSchema, parser
from convert.pipeline import in_order
from convert.quarantine import LineMasker, QuarantineWriter, RejectedLine, rejected
from convert.sink import Sink
from convert.swallowed import Swallowed, SwallowedRowDetector
from convert.tally import Tally
from convert.verdict import judge
from lake.cdc import POSITION
from lake.contract import Contract
from lake.control import Outcome
from lake.control.records import CSV
from lake.privacy import masks_of


@dataclass(frozen=True)
class ConversionPlan:
    """The inputs that determine the bytes: the same plan and the same source give the same objects.

    ``decisions`` are the pinned ones (column to ``personal`` or ``clear``). ``source`` is the raw object's name without
    its folders. ``part_name`` returns the name of part n, from 0.
    """

    file_id: str
    contract: Contract
    contract_version: str
    file_format: str
    source: str
    decisions: Mapping[str, str]
    part_name: Callable[[int], str]
    quarantine_name: str
    mask_key: bytes | None = field(default=None, repr=False)

    @property
    def metadata(self) -> dict[str, str]:
        """The key-value metadata of every object."""
        return {"file_id": self.file_id, "contract_version": self.contract_version, "source": self.source}

    @property
    def masks(self) -> dict[str, str]:
        """The mask of each hidden column."""
        return masks_of(self.contract, self.decisions)

    def masker(self) -> Masker:
        """A masker for the threads of one conversion."""
        return Masker(self.masks, self.decisions, self.mask_key)


class _Piece(NamedTuple):
    """A block, parsed and masked. ``batch`` holds the rows of ``parsed`` with their hidden columns masked.

    ``lost_lines`` counts the lines of its rejects, ``swallowed`` the rows within its texts.
    """

    batch: pa.RecordBatch
    parsed: ParsedBlock
    offset: int
    rejects: list[RejectedLine]
    lost_lines: int
    swallowed: Swallowed


def convert(plan: ConversionPlan, source: Any, sink: Sink, workers: int, checkpoint: Callable[[], None]) -> Outcome:
    """Convert ``source`` (compressed bytes, ``readinto``) into objects of ``sink``. The caller commits or aborts the sink.

    ``workers`` is the number of parse threads and does not affect the bytes. ``checkpoint`` is called between blocks and
    raises to stop. Raises the errors of ``verdict.judge``, ``OpenQuote``, and the terminal errors of gunzip, cutting and header.
    """
    # Arrow's own allocator keeps freed memory. The same conversion takes a third more memory with it, at the same speed.
    pa.set_memory_pool(pa.system_memory_pool())
    schema = RowSchema.of(plan.contract)
    reader = BlockReader(GzipStream(source), plan.file_format)
    parse = parser(schema, plan.file_format, reader.header)
    detector = SwallowedRowDetector(schema, reader.header, parse)
    work = [partial(_piece, reader, parse, detector, _Hider(plan, schema, reader.header))] * workers
    objects, tally = _Objects(plan, schema, sink), Tally()
    line = reader.first_line + 1
    try:
        with closing(in_order(reader, work)) as pieces:
            for piece in pieces:
                checkpoint()
                objects.write(piece, line)
                tally.take(piece.parsed, line, piece.lost_lines, piece.swallowed)
                line += piece.parsed.lines
        objects.close()
    except RecordTooLong as error:
        raise error.at_line(line) from None
    finally:
        objects.stop()
    judge(tally, plan.contract, plan.file_format)
    return _outcome(plan, tally, objects)


class _Objects:
    """The objects of one conversion: its parts, and a quarantine if a record was rejected."""

    def __init__(self, plan: ConversionPlan, schema: RowSchema, sink: Sink) -> None:
        self._plan = plan
        self._sink = sink
        self._parts = PartWriter(schema.arrow_schema, plan.metadata, _spread(plan.contract, plan.file_format), self._open_part)
        self.parts: list[str] = []
        self.quarantine: QuarantineWriter | None = None

    def _open_part(self, number: int) -> BinaryIO:
        self.parts.append(self._plan.part_name(number))
        return self._sink.open(self.parts[-1])

    def write(self, piece: _Piece, line: int) -> None:
        """Write the rows and rejects of the block that begins at ``line``. Raises ``OpenQuote``."""
        self._parts.write(piece.batch)
        for reject in piece.rejects:
            if reject.reason == Reason.OPEN_QUOTE:
                behind = piece.parsed.lines - reject.line - 1
                raise OpenQuote(line + reject.line, piece.offset + reject.offset, behind)
            self.quarantine = self.quarantine or QuarantineWriter(self._sink.open(self._plan.quarantine_name), self._plan.metadata)
            self.quarantine.write(reject, line, piece.offset)

    def close(self) -> None:
        """Write what is left."""
        self._parts.close()
        if self.quarantine is not None:
            self.quarantine.close()

    def stop(self) -> None:
        """Release unfinished objects: an open Parquet writer writes its footer on garbage collection, after its object is gone."""
        self._parts.stop()
        if self.quarantine is not None:
            self.quarantine.stop()


def _outcome(plan: ConversionPlan, tally: Tally, objects: _Objects) -> Outcome:
    return Outcome(
        records_read=tally.read,
        records_written=tally.written,
        records_rejected=tally.rejected,
        bronze_keys=tuple(objects.parts),
        quarantine_key=plan.quarantine_name if objects.quarantine is not None else None,
        built_at_min=tally.built_at_min,
        built_at_max=tally.built_at_max,
        operations=dict(tally.operations),
        fences=tuple(tally.fences),
        unknown_columns=tally.commonest_unknown_columns(),
        rejects=tally.worst(),
        reject_reasons=tally.commonest_reasons(),
        lines_without_record=tally.lines_without_record if plan.file_format == CSV else 0,
        refusals=objects.quarantine.refusals if objects.quarantine is not None else (),
    )


class _Hider:
    """The workers' shared masker, and the rule for rejected lines."""

    def __init__(self, plan: ConversionPlan, schema: RowSchema, header: Sequence[str] | None) -> None:
        self.masker = plan.masker()
        self.lines = LineMasker(self.masker, bool(plan.masks), frozenset(schema.index), header)


def _piece(reader: BlockReader, parse: BlockParser, detector: SwallowedRowDetector, hider: _Hider, block: Block) -> _Piece:
    parsed = parse.parse(block.data)
    swallowed = detector.look(block.data, parsed)
    rejects, lost_lines = [], 0
    for one in parsed.rejects:
        raw = bytes(block.data[one.offset : one.offset + one.length])
        lost_lines += 1 + raw.count(b"\n")
        rejects.append(rejected(raw, one.line, one.offset, one.column, one.reason, one.detail, hider.lines))
    reader.give_back(block)
    return _Piece(hider.masker.batch(parsed.batch), parsed, block.offset, rejects, lost_lines, swallowed)


def _spread(contract: Contract, file_format: str) -> frozenset[str]:
    """The columns with many distinct values: keys, references, the partition's time, and positions.

    All rows of an export have one position, so positions are left out for CSV.
    """
    ids = {column.name for column in contract.columns if column.key is not None or column.reference is not None}
    positions = set() if file_format == CSV else {POSITION}
    return frozenset(ids | positions | ({contract.partition.column} if contract.partition else set()))
