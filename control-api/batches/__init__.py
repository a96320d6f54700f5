"""Plan and settle: what is done before and after each Spark job, by the control table and S3 alone.

Each step may be repeated after a crash: plan finishes the batch that is open, settle of a settled batch changes nothing.
"""
