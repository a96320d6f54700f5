"""``python -m datamaster.aws.access``: read the access matrix and print it; one line and exit code 2 where it makes no sense."""

import sys

from datamaster.aws.access.matrix import InvalidMatrix, load_matrix
from datamaster.aws.access.matrix_page import matrix_lines

try:
    print(*matrix_lines(load_matrix()), sep="\n")
except InvalidMatrix as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(2)
