"""The console's entry point: its pages and their navigation."""

from __future__ import annotations

import streamlit as st

from datamaster.console import charts, file_list, sql_box, stages, table_list

st.set_page_config(page_title="Data Master", page_icon=":material/waves:", layout="wide")
PAGES = [
    st.Page(stages.page, title="Road", icon=":material/route:", url_path="road", default=True),
    st.Page(file_list.page, title="Files", icon=":material/description:", url_path="files"),
    st.Page(table_list.page, title="Tables", icon=":material/table:", url_path="tables"),
    st.Page(charts.page, title="Charts", icon=":material/bar_chart:", url_path="charts"),
    st.Page(sql_box.page, title="SQL", icon=":material/terminal:", url_path="sql"),
]
# Streamlit leaves too much space above the first heading.
st.html("<style>.block-container { padding-top: 4rem }</style>")
st.navigation(PAGES, position="top").run()
