"""Takes rejected lines down the road again, or drops them.

The lines that the contract in force accepts are read again from their raw object and make a new raw object of their own, with the same
header. The others stay, each with its reason.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from convert.parse import BlockParser, BlockReader, GzipStream, RowSchema, parser
from convert.parse.csv_fields import record_spans
from convert.quarantine import refusal_of_load
from convert.raw_source import S3Source
from convert.rejected_lines import QuarantinedFile, RejectedEntry, RejectedLines, problem
from lake.clients import s3
from lake.contract.store import ContractStore
from lake.control import ControlRecord, ControlTable
from lake.control.inbox import DROPPED, EVERYTHING, SENT, InboxCounts, Selection
from lake.control.records import CSV
from lake.errors import TerminalError, TransientError
from lake.keys import contract_of_raw_key, released_key


class LineChanged(TerminalError):
    """The raw object does not hold the line that was rejected."""


class ReleasedMeanwhile(TransientError):
    """Another run released lines of the same file at the same moment."""


class QuarantineInbox:
    """The rejected lines, and the decisions on them. ``by`` names the caller in the record of a decision.

    The object of a file's n-th decision has a key of its own and is written once. A run that ended between object and decision is
    finished by the next one, so no line goes twice.
    """

    def __init__(self, bucket: str, control: ControlTable, contracts: ContractStore) -> None:
        self.lines = RejectedLines(bucket, control)
        self._control = control
        self._contracts = contracts

    def try_out(self, selection: Selection) -> Iterator[InboxCounts]:
        """Judge the selected lines, and change nothing. Yields the counts so far, file by file."""
        counts = InboxCounts()
        for file in self.lines.files(selection):
            self._judge(file, selection, counts)
            yield counts

    def release(self, selection: Selection, by: str) -> Iterator[InboxCounts]:
        """Write new raw objects of the selected lines that pass. Yields the counts so far, file by file. Raises ``ReleasedMeanwhile``.

        Waits first until the converter has read the contracts in force, since those before would reject the lines again.
        """
        counts = InboxCounts()
        time.sleep(self._contracts.in_force_everywhere_in())
        for found in self.lines.files(selection):
            file = self._finished(found, by)
            header, passing = self._judge(file, selection, counts)
            if passing:
                refusals = [refusal for _, raw in passing if (refusal := refusal_of_load(raw)) is not None]
                self._control.refusals.withdraw(file.record.table_name, refusals)
                self._write(file, header + b"".join(raw + b"\n" for _, raw in passing))
                counts.decided += self._decide(file, [entry.entry for entry, _ in passing], SENT, by)
            yield counts

    def drop(self, selection: Selection, by: str) -> Iterator[InboxCounts]:
        """Take the selected lines out of the inbox for good. Yields the counts so far, file by file."""
        counts = InboxCounts()
        for file in self.lines.files(selection):
            entries = [entry.entry for entry in self.lines.entries(file, selection)]
            counts.selected += len(entries)
            counts.decided += self._decide(file, entries, DROPPED, by)
            yield counts

    def _judge(self, file: QuarantinedFile, selection: Selection, counts: InboxCounts) -> tuple[bytes, list[tuple[RejectedEntry, bytes]]]:
        """The file's header, and its selected lines that pass. If the raw object cannot be read, none passes."""
        record, passing = file.record, []
        entries = list(self.lines.entries(file, selection))
        try:
            header, parse, found = self._read(record, entries)
        except TerminalError as error:
            counts.kept[f"file {record.file_id}: {error}"] += len(entries)
            header, found = b"", []
        for entry, raw in found:
            reject = next(iter(parse.parse(raw + b"\n").rejects), None)
            if reject is None:
                passing.append((entry, raw))
            else:
                counts.kept[problem(reject.reason, reject.column, reject.detail)] += 1
        counts.selected += len(entries)
        counts.passing += len(passing)
        return header, passing

    def _read(
        self, record: ControlRecord, entries: Sequence[RejectedEntry]
    ) -> tuple[bytes, BlockParser, list[tuple[RejectedEntry, bytes]]]:
        """The header, a parser under the contract in force, and the lines as the raw object has them."""
        with closing(S3Source(s3(), record.bucket, record.object_key, record.version_id, record.etag, record.size_bytes)) as source:
            reader = BlockReader(GzipStream(source), record.file_format)
            _, contract = self._contracts.reading(record.object_key, record.table_name)
            parse = parser(RowSchema.of(contract), record.file_format, reader.header)
            return _header(reader.header), parse, list(_lines(reader, entries))

    def _finished(self, file: QuarantinedFile, by: str) -> QuarantinedFile:
        """Decide on the lines that a run wrote and did not decide on before it ended."""
        try:
            body = s3().get_object(Bucket=file.record.bucket, Key=_key(file))["Body"].read()
        except s3().exceptions.NoSuchKey:
            return file
        written = {hashlib.sha256(record).hexdigest() for record in _records(gzip.decompress(body), file.record.file_format)}
        sent = [entry.entry for entry in self.lines.entries(file, EVERYTHING) if entry.line_sha256 in written]
        self._decide(file, sent, SENT, by)
        return replace(file, decided=self._control.inbox.of(file.place))

    def _write(self, file: QuarantinedFile, text: bytes) -> None:
        try:
            s3().put_object(Bucket=file.record.bucket, Key=_key(file), Body=gzip.compress(text, mtime=0), IfNoneMatch="*")
        except s3().exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise ReleasedMeanwhile(f"lines of file {file.record.file_id} were released at the same moment; repeat") from None
            raise

    def _decide(self, file: QuarantinedFile, entries: Sequence[int], action: str, by: str) -> int:
        made = self._control.inbox.decide(file.place, entries, action, by)
        self._control.files.clear_rejects(file.record, self._control.inbox.of(file.place).count)
        return made


def _key(file: QuarantinedFile) -> str:
    """The key of the raw object that the file's next decision makes."""
    name = f"{file.record.file_id}-{file.record.attempt_count}-{len(file.decided.decisions)}"
    written = contract_of_raw_key(file.record.object_key) or ""
    return released_key(file.record.table_name, written, name, file.record.file_format == CSV)


def _header(names: Sequence[str] | None) -> bytes:
    if names is None:
        return b""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(names)
    return text.getvalue().encode()


def _lines(reader: BlockReader, entries: Sequence[RejectedEntry]) -> Iterator[tuple[RejectedEntry, bytes]]:
    """The entries, in their order, with their bytes. Raises ``LineChanged``."""
    left = deque(entries)
    for block in reader:
        while left and left[0].byte_offset < block.offset + len(block.data):
            entry = left.popleft()
            start = entry.byte_offset - block.offset
            raw = bytes(block.data[start : start + entry.line_bytes])
            if hashlib.sha256(raw).hexdigest() != entry.line_sha256:
                raise LineChanged(f"line {entry.line_number:,} is not the one that was rejected")
            yield entry, raw
        if not left:
            return


def _records(text: bytes, file_format: str) -> Iterator[bytes]:
    if file_format == CSV:
        yield from (text[span.start : span.stop] for span in record_spans(text))
    else:
        yield from text.split(b"\n")
