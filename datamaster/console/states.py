"""How a page says that it waits, has nothing, or cannot: the same on every page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import streamlit as st

from lake.errors import LakeError, TransientError


@contextmanager
def shown(what: str, live: bool = False) -> Iterator[None]:
    """Fetch ``what`` under a spinner; an error becomes a sentence with the next step, and the page ends there.

    What is fetched again and again (``live``) has its spinner once, or the page would flicker.
    """
    known = live and st.session_state.get(f"shown {what}", False)
    try:
        with nullcontext() if known else st.spinner(f"Asking for {what} …", show_time=True):
            yield
        st.session_state[f"shown {what}"] = True
    except TransientError as error:
        st.error(f"**{what.capitalize()} cannot be had now.** {error}", icon=":material/cloud_off:")
        st.caption("Is the platform up? `dm status` tells; `dm up` starts one. This page asks again when it is reloaded.")
        st.stop()
    except LakeError as error:
        st.error(f"**{what.capitalize()} was refused.** {error}", icon=":material/block:")
        st.stop()


def nothing(what: str, next_step: str) -> None:
    """Say that there is nothing, and what would bring something."""
    st.info(f"**{what}** {next_step}", icon=":material/inbox:")
