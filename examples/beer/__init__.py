"""The example that the demo runs: reviews of beers, with their contracts, derived tables, rows, changes and proof.

Nothing under lake/, in a stage or in datamaster's packages knows it, but the commands that run it: ``dm demo``, ``dm seed``, ``dm churn``.
"""

from pathlib import Path

CONTRACTS = Path(__file__).parent / "contracts"
MIGRATIONS = Path(__file__).parent / "migrations"
