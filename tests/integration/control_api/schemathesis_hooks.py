"""What openapi.yaml cannot say: since is not later than until."""

from datetime import UTC, datetime

import schemathesis


@schemathesis.hook
def filter_query(context, query):
    bounds = [moment(query[name]) for name in ("since", "until") if query and name in query]
    return len(bounds) < 2 or None in bounds or bounds[0] <= bounds[1]


def moment(text):
    """A time as the API reads it; None for what is none, which the API refuses by itself."""
    try:
        read = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)
