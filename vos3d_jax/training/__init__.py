"""Stages, optimiser, state, loop, checkpoints: from a config to a trained network in a folder."""
