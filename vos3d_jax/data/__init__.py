"""From files, or from nothing, to videos and batches."""
