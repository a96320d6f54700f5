"""The page of files: filters, the details of a file, and a retry for a failed one."""

from __future__ import annotations

from typing import Any

import streamlit as st

from datamaster.console import platform_data
from datamaster.console.grid import COUNT, TEXT, TIME, grid
from datamaster.console.states import nothing, shown
from datamaster.platform import api_client
from lake.errors import LakeError
from lake.keys import raw_prefix

ANY = "any"
LIMITS = (25, 100, 500)
KINDS = {"status": TEXT, "table": TEXT, "object": TEXT, "rows": COUNT, "rejected": COUNT, "attempt": COUNT, "converted by": TEXT}
KINDS |= {"registered": TIME}
EVERY_SECONDS = 3


def page() -> None:
    """Show the files that match the filters."""
    st.header("Files")
    with shown("the tables"):
        tables = sorted(table["table"] for table in platform_data.tables()["tables"])
    one, two, three = st.columns(3)
    table = one.selectbox("Table", [ANY, *tables], key="table")
    status = two.selectbox("Status", [ANY, *platform_data.STATUSES], key="status")
    limit = three.selectbox("At most", LIMITS, key="limit")
    _list(None if table == ANY else table, None if status == ANY else status, limit)


@st.fragment(run_every=EVERY_SECONDS)
def _list(table: str | None, status: str | None, limit: int) -> None:
    with shown("the files", live=True):
        found = platform_data.listed_files(table, status, limit)
    followed = st.session_state.get("followed")
    if followed:
        _follow(followed)
    if not found:
        nothing("No file is like that.", "Choose another table or status, or wait: files appear when they are registered.")
        return
    st.caption(f"{platform_data.counted(len(found), 'file')}, newest first; mark one to see all about it")
    picked = grid([_row(file) for file in found], KINDS, on_select="rerun", selection_mode="single-row", key="files")
    _failures([file for file in found if file["status"] == "failed"])
    chosen = picked["selection"]["rows"]
    if chosen and chosen[0] < len(found):
        _detail(found[chosen[0]])


def _row(file: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": file["status"],
        "table": file["table_name"],
        "object": file["object_key"].removeprefix(raw_prefix(file["table_name"])),
        "rows": file["records_written"],
        "rejected": file["records_rejected"],
        "attempt": file["attempt_count"],
        "converted by": file["compute_target"],
        "registered": file["created_at"],
    }


def _failures(failed: list[dict[str, Any]]) -> None:
    for file in failed[:10]:
        with st.container(border=True):
            text, button = st.columns([5, 1], vertical_alignment="center")
            text.markdown(f"**{file['table_name']}** · `{file['object_key']}`")
            text.caption(f"{file['error_type']}: {file['error_message']}")
            if button.button("Try again", key=f"retry-{file['file_id']}", icon=":material/replay:"):
                _retry(file["file_id"])


def _retry(file_id: str) -> None:
    try:
        api_client.retry_file(file_id)
    except LakeError as error:
        st.error(f"**The file was not tried again.** {error}", icon=":material/block:")
        return
    st.session_state["followed"] = file_id
    platform_data.listed_files.clear()
    st.rerun()


def _follow(file_id: str) -> None:
    """Report the status of a retried file."""
    with shown("the file", live=True):
        file = api_client.show_file(file_id)
    words = f"Attempt {file['attempt_count']} of `{file['object_key'].rpartition('/')[2]}` is **{file['status']}**"
    if file["status"] in ("bronze", "silver"):
        st.success(words, icon=":material/check_circle:")
    elif file["status"] == "failed":
        st.warning(f"{words}: {file['error_message']}", icon=":material/error:")
    else:
        st.info(words, icon=":material/hourglass_top:")


def _detail(file: dict[str, Any]) -> None:
    with st.expander(f"Everything about {file['file_id']}", expanded=True):
        st.json({name: value for name, value in file.items() if value is not None}, expanded=1)
