"""``dm convert``: converts one local file to Parquet by its contract, with the converter's own engine and without a platform."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from convert import engine, masking
from convert.sink import DirectorySink
from lake.contract import Contract, ContractSet, InvalidContract, parse_contract
from lake.control import Outcome
from lake.raw_names import UnknownForm, check_name, format_of

QUARANTINE = "quarantine.parquet"


def convert(
    path: Path,
    contract_file: Path,
    out_dir: Path,
    file_id: str | None = None,
    mask_key_file: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Convert ``path`` (``*.csv.gz``, or any other ``*.gz`` as JSON lines) into ``out_dir`` and return the counts.

    ``part-NNNNN.parquet`` hold the rows, ``quarantine.parquet`` the rejected records if there are any. The same
    ``file_id`` (by default a digest of the file's name), contracts, key and decisions give the same bytes as the platform.
    No column is decided here, so a column that the contract does not classify is masked. ``mask_key_file`` holds 64
    hexadecimal digits. ``progress`` is called with each new percentage of the file that was read.

    ``contract_version`` is that of the contract's folder if the folder is a valid set, else a digest of the one file.
    Raises ``InvalidContract``, ``UnknownForm``, the engine's terminal errors, and ``OSError``. ``out_dir`` is then as
    it was before.
    """
    contract, version = _contract(contract_file)
    key = masking.mask_key(mask_key_file.read_text(), str(mask_key_file)) if mask_key_file else None
    plan = engine.ConversionPlan(
        file_id=file_id or hashlib.sha256(path.name.encode()).hexdigest()[:32],
        contract=contract,
        contract_version=version,
        file_format=_file_format(path),
        source=path.name,
        decisions={},
        part_name="part-{:05d}.parquet".format,
        quarantine_name=QUARANTINE,
        mask_key=key,
    )
    began = time.monotonic()
    with path.open("rb", buffering=0) as source:
        sink = DirectorySink(out_dir)
        try:
            outcome = engine.convert(plan, source, sink, workers or os.cpu_count() or 1, _reporter(source, path.stat().st_size, progress))
            sink.commit()
        except BaseException:
            sink.abort()
            raise
    return _summary(plan, outcome, out_dir, time.monotonic() - began)


def _reporter(source: IO[bytes], size: int, progress: Callable[[int], None]) -> Callable[[], None]:
    """A checkpoint that calls ``progress`` with each new percentage of the source."""
    told = -1

    def report() -> None:
        nonlocal told
        share = 100 * source.tell() // max(size, 1)
        if share != told:
            told = share
            progress(share)

    return report


def _contract(path: Path) -> tuple[Contract, str]:
    text = path.read_text(encoding="utf-8")
    contract = parse_contract(text, path.name, strict=True)
    try:
        contracts = ContractSet.from_directory(path.parent)
    except InvalidContract:
        return contract, hashlib.sha256(text.encode()).hexdigest()[:12]
    return contract, contracts.version


def _file_format(path: Path) -> str:
    if not path.name.lower().endswith(".gz"):
        raise UnknownForm(path.name, "no gzip")
    check_name(path.name)
    return format_of(path.name)


def _summary(plan: engine.ConversionPlan, outcome: Outcome, out_dir: Path, seconds: float) -> dict[str, Any]:
    counts = asdict(outcome)
    return {
        "file_id": plan.file_id,
        "table": plan.contract.table,
        "contract_version": plan.contract_version,
        "records_read": counts["records_read"],
        "records_written": counts["records_written"],
        "records_rejected": counts["records_rejected"],
        "parts": [str(out_dir / name) for name in counts["bronze_keys"]],
        "quarantine": str(out_dir / QUARANTINE) if counts["quarantine_key"] else None,
        "masked_columns": sorted(plan.masks),
        "unknown_columns": counts["unknown_columns"],
        "rejects": list(outcome.rejects),
        "lines_without_record": outcome.lines_without_record,
        "seconds": round(seconds, 3),
    }
