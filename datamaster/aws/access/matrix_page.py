"""The access matrix as a page: one row for each role, one column for each layer, and the actions in the squares."""

from __future__ import annotations

from collections.abc import Mapping

from datamaster.aws.access.matrix import Cell, Matrix

ALLOWED, DENIED, NOT_SERVED = "allowed", "denied", "not served"
"""Results of trying a square with a call. NOT_SERVED: only AWS can decide it, for example a cells filter."""


def matrix_lines(matrix: Matrix) -> list[str]:
    """The matrix as a Markdown table."""
    layers = list(matrix.layers.values())
    lines = ["| role | " + " | ".join(layer.name for layer in layers) + " |", "|---" * (len(layers) + 1) + "|"]
    for role in matrix.roles.values():
        squares = []
        for layer in layers:
            granted = []
            for action in layer.actions:
                tables = sorted(cell.table or "" for cell in role.allowed if (cell.layer, cell.action) == (layer.name, action))
                whole = not tables or len(set(tables)) >= len(layer.tables) or tables == [""]
                granted += [action if whole else f"{action} ({', '.join(tables)})"] if tables else []
            squares.append(", ".join(granted))
        lines.append(f"| {role.name} | " + " | ".join(squares) + " |")
    return lines


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
