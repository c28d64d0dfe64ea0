"""What the values of masks mean: decided from all files of a video, in every mode, or refused by name."""

import numpy as np
import pytest
from golden_files import shared_data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageFilter

from vos3d_jax.errors import UserError
from vos3d_jax.media.encodings import decide, levels, read_mask, require_choice
from vos3d_jax.media.masks import PALETTE, StoredMask, read_stored

SIZE = (24, 32)
GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
MODES = ("L", "LA", "P", "grey P", "RGB", "RGBA")


def box(value=1, left=4, size=SIZE):
    values = np.zeros(size, np.uint8)
    values[5:15, left : left + 10] = value
    return values


def picture(values, mode="L"):
    """Values as a picture of a mode; palettes (P) are Pascal VOC's, or of greys."""
    image = Image.fromarray(values)
    if mode in ("P", "grey P"):
        image.putpalette((PALETTE if mode == "P" else GREYS).tobytes())
        return image
    return image.convert(mode)


def read(folder, pictures, choice=None):
    """(ids of each picture, the meaning) after they were written and read as the masks of one video."""
    files = []
    for index, image in enumerate(pictures):
        path = folder / f"{index:05d}.png"
        image.save(path)
        files.append((path, read_stored(path)))
    meaning = decide([levels(*file) for file in files], choice)
    return [meaning.ids_of(mask.values) for _, mask in files], meaning


@pytest.mark.parametrize("mode", [*MODES, "1"])
def test_trap_1_0_and_255_alone_are_one_object_in_every_mode_palettes_too(tmp_path, mode):
    shapes = [box(255, left) for left in (4, 6)] + [box(0), box(255, 0, (24, 10))[:, :10]]
    found, meaning = read(tmp_path, [picture(values, mode) for values in shapes])
    for values, ids in zip(shapes, found, strict=True):
        assert np.array_equal(ids, values != 0) and ids.dtype == np.uint8
    assert meaning.ids == (1,)
    assert meaning.words == f"one object (0 and {1 if mode == '1' else 255})"


@pytest.mark.parametrize("mode", MODES)
def test_trap_4_void_alone_in_one_mask_stays_void_where_another_mask_has_ids(tmp_path, mode):
    ids = [box(2) + box(7, 20), box(255), box(0)]
    found, meaning = read(tmp_path, [picture(values, mode) for values in ids])
    assert all(np.array_equal(*pair) for pair in zip(found, ids, strict=True))
    assert (meaning.ids, meaning.void, meaning.words) == ((2, 7), True, "ids, 255 is void")


@settings(max_examples=30, deadline=None)
@given(
    video=hnp.arrays(np.uint8, (3, 6, 8), elements=st.sampled_from([0, 0, 0, 1, 2, 9, 20])),
    void=hnp.arrays(np.bool_, (3, 6, 8)),
    mode=st.sampled_from(MODES),
)
def test_ids_survive_exactly_in_every_mode(tmp_path_factory, video, void, mode):
    video[0, 0] = 1
    video[void & (video == 0) & (np.cumsum(video == 0).reshape(video.shape) < 4)] = 255
    found, meaning = read(tmp_path_factory.mktemp("ids"), [picture(values, mode) for values in video])
    assert np.array_equal(found, video)
    assert meaning.ids == tuple(sorted(set(video.ravel().tolist()) - {0, 255}))
    assert meaning.void == (video == 255).any()


@settings(max_examples=50, deadline=None)
@given(video=hnp.arrays(np.uint8, (2, 3, 4), elements=st.sampled_from([0, 1, 2, 100, 200, 255])))
def test_the_order_of_the_masks_decides_nothing(video):
    def decided(frames):
        try:
            return decide([levels("a.png", StoredMask(values)) for values in frames])
        except UserError as error:
            return type(error)

    assert decided(video) == decided(video[::-1])


@pytest.mark.parametrize("values, words", [(7, "one object (0 and 7)"), (200, "one object (0 and 200)")])
def test_one_value_beside_0_is_one_object_under_its_own_id(tmp_path, values, words):
    found, meaning = read(tmp_path, [picture(box(values)), picture(box(0))])
    assert np.array_equal(found[0], box(values)) and meaning.words == words


def test_masks_without_any_object_are_said_to_hold_none(tmp_path):
    assert read(tmp_path, [picture(box(0))])[1].words == "no object"
    assert decide([]).words == "no object"


def soft(value=255):
    return Image.fromarray(box(value)).filter(ImageFilter.GaussianBlur(1.2))


def stray():
    values = box(255)
    values[0, 0] = 1
    return values


def cut_out(colour, mode):
    """As cut-out tools export: one colour everywhere, the object in the alpha channel."""
    alpha = Image.fromarray(box(255))
    base = Image.new("L", alpha.size, colour)
    return Image.merge(mode, ([base] * (len(mode) - 1)) + [alpha])


def palette(values, *colours, transparency=None):
    image = Image.fromarray(values)
    image.putpalette([part for colour in colours for part in colour])
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


BLACK, GREY, WHITE, RED, BLUE = (0,) * 3, (90,) * 3, (255,) * 3, (255, 0, 0), (0, 0, 255)
TWO = box(1) + box(2, 20)

UNCERTAIN = {
    "soft edges": ([picture(box(255)), soft()], r"00001\.png has \d+ grey levels, so its edges are soft"),
    "soft edges of RGB": ([soft().convert("RGB")], r"00000\.png has \d+ grey levels, so its edges"),
    "soft edges in a grey palette": (
        [picture(np.array(soft()), "grey P")],
        r"00000\.png has \d+ grey levels",
    ),
    "soft and dark": ([soft(120)], r"00000\.png has \d+ grey levels, so its edges are soft"),
    "one stray grey": (
        [picture(box(255)), picture(stray()), picture(box(255))],
        r"00001\.png has 1 pixel of 1, in a video with more of 255",
    ),
    "a stray value in a palette": ([picture(stray(), "P")], "has 1 pixel of 1, in a video with more of 255"),
    "two drawn greys": ([picture(box(128) + box(255, 20))], r"00000\.png has the greys 128, 255, which are"),
    "drawn greys in different masks": (
        [picture(box(255)), picture(box(100))],
        r"00001\.png has the greys 100, which are no ids",
    ),
    "black objects on white": ([picture(255 - box(255) - box(100, 20))], "has the greys 155, 255"),
    "grey objects on brighter grey": (
        [picture(200 - box(200) - box(100, 20))],
        r"several greys, of which 0, the background, is not the most common \(200 is\)",
    ),
    "shape in alpha, white": ([cut_out(255, "RGBA")], r"00000\.png has its shape in the alpha channel"),
    "shape in alpha, black": ([cut_out(0, "LA")], r"00000\.png has its shape in the alpha channel"),
    # Pillow, among others, sorts the colours of a new palette by brightness: 0 is then the white object.
    "palette sorted by brightness": (
        [Image.fromarray(box(255)).convert("RGB").quantize(2)],
        r"00000\.png shows 0, the background, brighter than 1",
    ),
    "palette of a red object": ([palette(1 - box(1), RED, BLACK)], "shows 0, the background, brighter than"),
    "ids shown as other greys": (
        [palette(TWO, BLACK, GREY, WHITE)],
        r"00000\.png shows the ids 1, 2 as greys of other numbers",
    ),
    "ids in other colours": (
        [palette(TWO, BLACK, RED, BLUE), palette(TWO, BLACK, BLUE, RED)],
        r"00001\.png shows the id 1 in another colour than the masks before it",
    ),
    "a hidden object": (
        [palette(1 - box(1), WHITE, WHITE, transparency=b"\xff\x00")],
        "has its shape in the alpha channel",
    ),
    "colours": ([Image.fromarray(PALETTE[box()])], r"00000\.png has colours instead of ids: save"),
    "16 bits": ([Image.fromarray(box().astype(np.uint16))], r"00000\.png has the image mode I;16: save"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNCERTAIN)
def test_what_cannot_be_told_for_certain_is_refused_by_the_name_of_a_file(tmp_path, name):
    pictures, message = UNCERTAIN[name]
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path, pictures)
    assert "\n" not in str(error.value)


def test_a_transparent_background_hides_nothing(tmp_path):
    image = palette(TWO, BLACK, RED, BLUE, transparency=b"\x00\xff\xff")
    assert np.array_equal(read(tmp_path, [image])[0][0], TWO)
    grey = picture(box(255))
    grey.info["transparency"] = 0
    assert np.array_equal(read(tmp_path, [grey])[0][0], box())
    grey.info["transparency"] = 255
    with pytest.raises(UserError, match="has its shape in the alpha channel"):
        read(tmp_path, [grey])


def test_a_jpeg_is_no_mask_whatever_its_name(tmp_path):
    picture(box(255)).save(tmp_path / "00000.png", format="JPEG")
    with pytest.raises(UserError, match=r"00000\.png is a JPEG, which blurs ids: write the masks as palette"):
        read_mask(tmp_path / "00000.png")


@pytest.mark.parametrize("name", ["soft edges", "soft and dark", "one stray grey", "two drawn greys"])
def test_half_cuts_at_the_half_what_is_refused_otherwise(tmp_path, name):
    pictures, _ = UNCERTAIN[name]
    found, meaning = read(tmp_path, pictures, "half")
    for image, ids in zip(pictures, found, strict=True):
        assert np.array_equal(ids, np.array(image) > 127)
    assert meaning.words == "one object (soft edges, cut at the half)"


def test_half_changes_nothing_where_values_are_certain_and_cuts_no_alpha(tmp_path):
    found, meaning = read(tmp_path, [picture(TWO)], "half")
    assert np.array_equal(found[0], TWO) and meaning.words == "ids"
    with pytest.raises(UserError, match="alpha channel"):
        read(tmp_path, [cut_out(255, "RGBA")], "half")


@pytest.mark.parametrize(
    "name", ["soft edges", "one stray grey", "two drawn greys", "ids shown as other greys"]
)
def test_ids_takes_all_values_for_ids_and_255_for_void(tmp_path, name):
    pictures, _ = UNCERTAIN[name]
    found, meaning = read(tmp_path, pictures, "ids")
    assert all(np.array_equal(ids, np.array(image)) for image, ids in zip(pictures, found, strict=True))
    assert meaning.rule == "ids" and 255 not in meaning.ids
    assert read(tmp_path, [picture(box(255))], "ids")[1].words == "no object, 255 is void"


def test_another_choice_is_refused():
    with pytest.raises(UserError, match="mask_values='soft' is unknown: choose one of half, ids"):
        require_choice("soft")


def test_a_mask_that_stands_alone_is_read_by_its_own_values(tmp_path):
    picture(box(255), "P").save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png"), box())
    picture(TWO).save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png"), TWO)
    soft().save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png has \d+ grey levels"):
        read_mask(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png", "half"), np.array(soft()) > 127)


@settings(max_examples=40, deadline=None)
@given(values=hnp.arrays(np.uint8, (5, 7), elements=st.sampled_from([0, 0, 3, 255])))
def test_levels_count_every_pixel_once(values):
    numbers, counts = np.unique(values, return_counts=True)
    assert levels("a.png", StoredMask(values)).counts == dict(
        zip(numbers.tolist(), counts.tolist(), strict=True)
    )


def test_trap_3_the_mask_of_two_channels_is_read_as_its_neighbours():
    folder = shared_data("DAVIS-defects") / "Annotations/480p/bear"
    found = [read_mask(folder / f"000{number}.png") for number in (76, 77, 78)]
    assert [mask.shape for mask in found] == [(480, 854)] * 3
    assert [int(mask.sum()) for mask in found] == [45655, 46035, 46411]
