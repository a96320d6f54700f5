"""The page for SQL on Athena."""

from __future__ import annotations

import streamlit as st

from datamaster.console import platform_data
from datamaster.console.states import nothing
from datamaster.platform.query import AthenaUnreachable, QueryFailed

EXAMPLE = "SELECT state, sum(review_count) AS reviews\nFROM dm_gold.state_by_review_volume\nGROUP BY state\nORDER BY reviews DESC\nLIMIT 10"
LIMIT = 1000


def page() -> None:
    """Show a form for a statement, and the rows of its result."""
    st.header("SQL")
    st.caption(f"Athena's own dialect; at most {LIMIT:,} rows are shown. Tables lie in `dm_silver` and `dm_gold`.")
    with st.form("statement", border=False):
        sql = st.text_area("Statement", EXAMPLE, height=160)
        asked = st.form_submit_button("Run", type="primary", icon=":material/play_arrow:")
    if not asked:
        return
    if not sql.strip():
        nothing("There is no statement.", "Write one and press Run.")
        return
    try:
        with st.spinner("Athena is at it …", show_time=True):
            result = platform_data.athena().run(sql, LIMIT)
    except QueryFailed as error:
        st.error(f"**Athena refused the statement.** {error}", icon=":material/block:")
        st.caption("Correct it and press Run again; `SHOW TABLES IN dm_gold` lists what there is.")
        return
    except AthenaUnreachable as error:
        st.error(f"**Athena cannot be reached.** {error}", icon=":material/cloud_off:")
        return
    if not result.rows:
        nothing("The statement has no rows.", f"It took {result.seconds:.2f} s.")
        return
    more = f"the first {LIMIT:,} rows" if result.more else f"{len(result.rows):,} rows"
    st.caption(f"{more} in {result.seconds:.2f} s")
    st.dataframe(platform_data.frame(result), hide_index=True, width="stretch")
