"""``python -m datamaster.governance``: read the access matrix and print it; one line and exit code 2 where it makes no sense."""

import sys

from datamaster.governance.access import InvalidMatrix, load_matrix
from datamaster.governance.report import matrix_lines

try:
    print(*matrix_lines(load_matrix()), sep="\n")
except InvalidMatrix as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(2)
