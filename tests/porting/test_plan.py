import functools

import manifests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vos3d_jax.errors import UserError
from vos3d_jax.porting import plan, rules, targets
from vos3d_jax.porting.export import naming_arguments

# (system, source, arguments): files of every kind of words, of published sizes, which are known without jax.
KINDS = [
    ("dcseg", "3dcseg", {"depth": 50}),
    ("dcseg", "3dcseg_old", {"depth": 18, "backbone": "r2plus1d"}),
    ("csn_classifier", "vmz", {"classes": 5, "separation": "ip"}),
    ("csn_classifier", "pytorchvideo", {"depth": 50, "classes": 5}),
    ("csn_classifier", "caffe2", {"depth": 50, "classes": 5}),
]
SHAPES = st.lists(st.integers(0, 9), max_size=6).map(tuple)


@functools.cache
def _shapes(kind):
    system, source, arguments = KINDS[kind]
    shapes = targets.shapes(system, arguments)
    names = rules.torch_names(shapes, source, naming_arguments({"system": system, "arguments": arguments}))
    return {name: rules.torch_shape(path, shapes[path]) for path, name in names.items()}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_is_changed_in_a_file_is_reported_and_never_stumbled_over(data):
    kind = data.draw(st.integers(0, len(KINDS) - 1))
    shapes = dict(_shapes(kind))
    # The names by which a file is recognised are changed more often than their share.
    first = st.sampled_from(list(shapes)[:3] + list(shapes)[-3:])
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.one_of(first, st.sampled_from(list(_shapes(kind)))))
        change = data.draw(st.sampled_from(["drop", "shape", "add"]))
        if change == "drop":
            shapes.pop(name, None)
        elif change == "shape":
            shapes[name] = data.draw(SHAPES)
        else:
            shapes[data.draw(st.sampled_from([f"{name}.x", f"layer9.{name}", "layer4.7.conv1.weight"]))] = (
                2,
            )
    checkpoint = manifests.checkpoint_of(shapes)
    try:
        found = plan.make(checkpoint)
        plan.refuse(checkpoint, found)
    except UserError as error:
        assert "\n" not in str(error)
        return
    # Accepted only if every tensor that the network needs is there, in its shape.
    assert {row.path for row in found.rows if row.status == plan.USED} == set(
        targets.shapes(found.system, found.arguments)
    )


def test_every_status_of_a_plan_is_listed_once():
    assert len(set(plan.STATUSES)) == len(plan.STATUSES) and set(plan.PROBLEMS) < set(plan.STATUSES)
