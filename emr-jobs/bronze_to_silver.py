"""Entry point of EMR Serverless: merge a batch of bronze files into its silver table. The job is ``jobs.silver.merge_job``."""

import sys

from jobs.silver.merge_job import main

if __name__ == "__main__":
    main(sys.argv[1:])
