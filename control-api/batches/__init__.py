"""Plan and settle: the steps before and after each Spark job, on the control table and S3 alone.

Each step may be repeated after a crash. Plan finishes an open batch first, and settle changes nothing for a closed one.
"""
