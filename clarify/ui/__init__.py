"""The dashboard: pages over `clarify.workflow`, their pictures, colours and charts."""
