"""What an earlier scoring kept is used as it was or made again: no traceback, no other numbers."""

import random

from fuzz import mutations

from vos3d_jax.evaluation import run_measures


def test_damaged_measures_are_none_and_are_made_again():
    # Trap: of a damaged archive numpy and zipfile raise what they document nowhere (zlib.error, ...).
    measures = run_measures.RunMeasures(rows=(), truth="truth", results="results")
    content, rng = run_measures.to_bytes(measures), random.Random(0)
    found = [run_measures.from_bytes(mutations.change(content, rng, [content])) for _ in range(1500)]
    kept = [one for one in found if one is not None]
    assert len(kept) < len(found) / 3
    assert all((one.truth, one.results, one.rows) == ("truth", "results", ()) for one in kept)
