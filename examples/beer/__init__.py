"""The example that the demo runs: beer reviews, with contracts, derived tables, rows, changes and proof.

The product does not import it. ``dm`` finds its commands ``demo``, ``seed`` and ``churn`` by an entry point.
"""

from pathlib import Path

CONTRACTS = Path(__file__).parent / "contracts"
MIGRATIONS = Path(__file__).parent / "migrations"
