"""The face: what `import clarify` gives, over the steps of the workflow."""
