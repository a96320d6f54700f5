"""How every page shows that it waits, is empty, or failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import streamlit as st

from lake.errors import LakeError, TransientError


@contextmanager
def shown(what: str, live: bool = False) -> Iterator[None]:
    """Fetch ``what`` under a spinner. An error is shown with the next step, and the page ends there.

    A ``live`` page refreshes by itself. It shows the spinner only the first time, because it would flicker otherwise.
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
    """Show that a page is empty, and how to get rows."""
    st.info(f"**{what}** {next_step}", icon=":material/inbox:")
