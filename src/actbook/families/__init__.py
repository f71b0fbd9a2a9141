"""The declarations, one short module per family."""
