"""A local counterpart of AWS DMS: it writes the rows and changes of a PostgreSQL to a Kinesis stream in DMS's format."""
