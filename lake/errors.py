"""The base classes of the lake's errors, which alone decide whether a retry makes sense, and errors of more than one stage."""


class LakeError(Exception):
    """A failure that the lake itself raises. Its message names the thing, the value and the valid values."""


class TerminalError(LakeError):
    """A retry with the same input fails in the same way."""


class TransientError(LakeError):
    """A later retry may succeed: a throttled call, a lost lease, an outage."""


class NotGzip(TerminalError):
    """The object does not begin with a gzip member (RFC 1952, 2.3.1)."""


class CorruptGzip(TerminalError):
    """The object begins as gzip, but a member is cut off or damaged, or something else follows the last one."""
