"""The two roots of every failure: whether anyone should try again is decided here, once."""


class LakeError(Exception):
    """A failure that the lake itself raises; its message names the thing, the value and what would be valid."""


class TerminalError(LakeError):
    """Trying again with the same input gives the same failure."""


class TransientError(LakeError):
    """Trying again later may succeed: a throttled call, a lost lease, an outage."""
