"""Personal data: what is masked, how, and who decides.

``masks`` turns clear values into masked ones, ``policy`` says which columns need it, ``detection`` gathers the evidence
on which a column without a classification is decided, ``identifiers`` knows what Comprehend does not: CPF and CNPJ.
docs/semantics.md holds the rules.
"""

from lake.privacy.detection import Detector
from lake.privacy.masks import REDACTED, mask_value
from lake.privacy.policy import CLEAR, PERSONAL, VALUES_TO_DECIDE, Evidence, decide, masks_of, undecided

__all__ = ["CLEAR", "PERSONAL", "REDACTED", "VALUES_TO_DECIDE", "Detector", "Evidence", "decide", "mask_value", "masks_of", "undecided"]
