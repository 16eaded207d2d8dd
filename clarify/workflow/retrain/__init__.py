"""Train and retrain: one interface, two engines, heads solved exactly and networks by steps."""
