"""Counts as English writes them."""

from __future__ import annotations

from collections.abc import Mapping


def counted(number: int, noun: str) -> str:
    """``1 file``, ``2 files``, ``1,000 tables``: for nouns with a plural in s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def counts_text(counts: Mapping[str, int]) -> str:
    """``3 x ragged; 1 x nul``, the commonest first."""
    return "; ".join(f"{count:,} x {name}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
