"""The recipes: one file an experiment, readable from top to bottom."""
