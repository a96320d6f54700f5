"""What AWS DMS does, on a laptop: a PostgreSQL's rows and changes, written to a Kinesis stream as DMS writes them."""
