"""Checks that refuse a rename if it could put one column's values under another.

Data written before a rename is read by the former name: messages on their way, bronze files, the silver table. A name that
another column has or had is therefore ambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping

from lake.contract.model import Column, Contract, InvalidContract


def refuse_ambiguous_renames(contract: Contract) -> None:
    """Refuse a former name that another column has or had, in the lake or in the source. Raises ``InvalidContract``."""
    claimed: dict[str, str] = {}
    for column in contract.columns:
        for former in column.former_names:
            problem = _of_present(contract, column, former)
            if former in claimed:
                problem = f'as does "{claimed[former]}"; a name was one column\'s'
            if problem:
                raise InvalidContract(f"{contract.table}.yaml", f'column "{column.name}" renamedFrom', f'comes from "{former}", {problem}')
            claimed[former] = column.name


def _of_present(contract: Contract, column: Column, former: str) -> str | None:
    holder = next((other for other in contract.columns if former in (other.name, other.source_name) and other is not column), None)
    if holder is None:
        return None
    if column.name in holder.former_names:
        return f'and "{former}" from "{column.name}": exchange their physicalName instead, then dm reload {contract.table}'
    return (
        f'which the column "{holder.name}" has now. Publish the rename alone first; once the source has changed and silver '
        f'has it, publish "{former}" under a name of its own with physicalName, without this renamedFrom'
    )


def refuse_lost_names(old: Mapping[str, Contract], new: Mapping[str, Contract]) -> None:
    """Refuse new contracts that reuse a former name, or that drop earlier names at a second rename. Raises ``InvalidContract``."""
    for table in old.keys() & new.keys():
        before, after = old[table], new[table]
        formers = {former: column for column in before.columns for former in column.former_names}
        for column in after.columns:
            if column.name not in before.by_name and column.name in formers:
                raise InvalidContract(
                    f"{table}.yaml",
                    f'column "{column.name}"',
                    f'was the name of "{formers[column.name].name}" before, and files of then may be under way; '
                    f"give it another name, with physicalName: {column.source_name}",
                )
            known = [name for former in column.former_names if former in before.by_name for name in before.by_name[former].former_names]
            if lost := [name for name in known if name not in column.former_names]:
                names = ", ".join((*column.former_names, *lost))
                raise InvalidContract(
                    f"{table}.yaml", f'column "{column.name}" renamedFrom', f"had other names before; write renamedFrom: [{names}]"
                )
