"""Readers, one file a data set: `reader(split, data_dir=...)` gives a list of `Video`."""
