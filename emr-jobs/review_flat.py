"""Entry point of EMR Serverless: rebuild months of a derived table in dm_silver. The job is ``jobs.derived.build_job``."""

import sys

from jobs.derived.build_job import main

if __name__ == "__main__":
    main(sys.argv[1:])
