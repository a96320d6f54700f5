"""``python -m datamaster.aws.access``: print the access matrix. An invalid matrix gives one line and exit code 2."""

import sys

from datamaster.aws.access.matrix import InvalidMatrix, load_matrix
from datamaster.aws.access.matrix_page import matrix_lines

try:
    print(*matrix_lines(load_matrix()), sep="\n")
except InvalidMatrix as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(2)
