"""The base classes of the lake's errors. They alone decide whether a retry makes sense."""


class LakeError(Exception):
    """A failure that the lake itself raises. Its message names the thing, the value and the valid values."""


class TerminalError(LakeError):
    """A retry with the same input fails in the same way."""


class TransientError(LakeError):
    """A later retry may succeed: a throttled call, a lost lease, an outage."""
