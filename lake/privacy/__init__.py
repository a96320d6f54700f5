"""Personal data: which columns are masked, with which mask, and on which evidence.

``masks`` turns clear values into masked ones, and ``policy`` selects the columns to mask. ``detection`` gathers evidence
for columns without a classification. ``identifiers`` recognises CPF and CNPJ, which Comprehend does not know.
docs/semantics.md holds the rules.
"""

from lake.privacy.masks import REDACTED, mask_value
from lake.privacy.policy import CLEAR, PERSONAL, VALUES_TO_DECIDE, Evidence, decide, masks_of, undecided

__all__ = ["CLEAR", "PERSONAL", "REDACTED", "VALUES_TO_DECIDE", "Evidence", "decide", "mask_value", "masks_of", "undecided"]
