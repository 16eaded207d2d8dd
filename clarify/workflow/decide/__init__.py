"""Compare models, judge them, promote one, go back."""
