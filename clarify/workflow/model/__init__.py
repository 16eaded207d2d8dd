"""What every step works with: a project, its models, what they get wrong, the table of corrections."""
