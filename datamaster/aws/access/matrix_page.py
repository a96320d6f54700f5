"""The access matrix as a page: one row for each role, one column for each layer, and the actions in the squares."""

from __future__ import annotations

from datamaster.aws.access.matrix import Matrix


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
