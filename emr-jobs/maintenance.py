"""Entry point of EMR Serverless: maintain one table. The job is ``jobs.upkeep.upkeep_job``."""

import sys

from jobs.upkeep.upkeep_job import main

if __name__ == "__main__":
    main(sys.argv[1:])
