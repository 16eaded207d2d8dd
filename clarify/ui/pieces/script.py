"""What Streamlit runs for every visit and every click: the frame, and the page in it.

The pages lie elsewhere than this file, so that Streamlit does not find them by itself: an address
of a page leads through here, and past the question of who is there.
"""

from __future__ import annotations

import streamlit as st

from clarify.ui.pieces import blocks
from clarify.ui.pieces.page import PAGES, apologise, current
from clarify.ui.pieces.sidebar import draw_foot, draw_sidebar

st.set_page_config(page_title="Clarify", layout="wide")
st.html(blocks.style())
pages = {
    name: st.Page(PAGES / f"{name}.py", title=name.capitalize(), default=name == "classes")
    for name in ("classes", "describe", "retrain", "compare", "registry", "tutorial")
}
chosen = st.navigation(list(pages.values()), position="hidden")
try:
    page = current()
    foot = draw_sidebar(page, pages)
    chosen.run()
    draw_foot(page, foot)
except Exception as error:  # a fault of ours; nobody is shown its insides
    apologise(error)
