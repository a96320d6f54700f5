"""The squares of the access matrix that were tried with a call, and their results as lines."""

from __future__ import annotations

from collections.abc import Mapping

from datamaster.aws.access.matrix import Cell, Matrix

ALLOWED, DENIED, NOT_SERVED = "allowed", "denied", "not served"
"""NOT_SERVED: only AWS can decide it, for example a cells filter."""


def result_lines(matrix: Matrix, results: Mapping[tuple[str, Cell], str]) -> list[str]:
    """The results of every tried square, one line for each role and layer. "!" marks a result that contradicts the matrix."""
    lines = []
    for role in matrix.roles:
        for layer in matrix.layers.values():
            words = []
            for action in layer.actions:
                tried = {
                    cell: result for (who, cell), result in results.items() if (who, cell.layer, cell.action) == (role, layer.name, action)
                }
                if not tried:
                    continue
                wrong = any((result == DENIED) == matrix.allows(role, cell) for cell, result in tried.items() if result != NOT_SERVED)
                outcomes = sorted(set(tried.values()))
                words.append(f"{action}: {' and '.join(outcomes)}{' !' if wrong else ''}")
            if words:
                lines.append(f"{role:20} {layer.name:16} {', '.join(words)}")
    return lines
