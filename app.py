"""The dashboard, as `streamlit run app.py` and `clarify serve` start it."""

import streamlit as st

from clarify.ui.server.app import SCRIPT, lifespan, middleware, routes

app = st.App(SCRIPT, routes=routes(), middleware=middleware(), lifespan=lifespan)
