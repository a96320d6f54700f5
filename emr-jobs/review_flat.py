"""Entry point of EMR Serverless: rebuild months of review_flat. The job is ``jobs.derived.flat_job``."""

import sys

from jobs.derived.flat_job import main

if __name__ == "__main__":
    main(sys.argv[1:])
