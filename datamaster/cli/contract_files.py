"""``dm contract check``: the checks of the lake and of the Open Data Contract Standard."""

from __future__ import annotations

from pathlib import Path

from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import ValidationError

from lake.contract import ContractSet, InvalidContract


def check_contracts(folder: Path) -> ContractSet:
    """Check every contract of a folder against the standard's model and the lake's rules. Raises ``InvalidContract``."""
    contracts = ContractSet.from_directory(folder)
    for path in sorted(folder.glob("*.yaml")):
        try:
            OpenDataContractStandard.from_string(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InvalidContract(path.name, where, f"{first['msg']} (Open Data Contract Standard v3)") from error
    return contracts
