"""The contact sheet shows what it is given, in honest shades. It must not know where the numbers come from."""

import io

import numpy as np
import pytest
from PIL import Image

from cgconv.command import sheet
from cgconv.command.sheet import Tile, draw_sheet, response_tiles

GREY = np.full((1, 60, 60), 100.0)


def drawn(original, responses, white=255.0):
    """The sheet as an array, height x width x 3."""
    file = io.BytesIO()
    draw_sheet(file, original, responses, white)
    image = Image.open(file)
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB")).astype(int)


def shades(planes, white=255.0):
    """The pixels that one tile becomes."""
    picture, scale = sheet._picture(planes, white)
    return np.asarray(picture), scale


def test_without_negative_values_black_is_zero_and_white_is_full_scale():
    pixels, scale = shades(np.array([[[0.0, 51.0], [102.0, 255.0]]]))
    assert scale == "0 to 255"
    assert [pixels[0, 0], pixels[0, -1], pixels[-1, 0], pixels[-1, -1]] == [0, 51, 102, 255]


def test_beyond_full_scale_the_largest_value_is_white():
    pixels, scale = shades(np.array([[[0.0, 500.0]]]))
    assert scale == "0 to 500" and (pixels.min(), pixels.max()) == (0, 255)


def test_a_signed_response_has_zero_in_the_middle_and_a_range_symmetric_about_it():
    pixels, scale = shades(np.array([[[-0.04, 0.0, 0.02, 0.04]]]))
    assert scale == "±0.04"
    assert [int(each) for each in pixels[0, :: pixels.shape[1] // 4][:4]] == [0, 128, 191, 255]


def test_a_few_extremes_do_not_dim_the_rest():
    ramp = np.linspace(-1, 1, 200 * 200).reshape(1, 200, 200)
    ramp[0, 0, 0] = -1e6
    pixels, scale = shades(ramp)
    assert scale in ("±0.995", "±0.996")
    assert pixels[0, 0] == 0 and pixels[-1, -1] == 255 and abs(int(pixels[100, 0]) - 128) <= 1


def test_three_planes_are_red_green_and_blue_and_other_numbers_are_averaged():
    planes = np.stack([np.full((4, 4), value) for value in (255.0, 0.0, 51.0)])
    assert (shades(planes)[0] == (255, 0, 51)).all()
    assert (shades(planes[:2])[0] == 128).all()


@pytest.mark.parametrize("values", [[np.nan, 1.0], [np.inf, 0.5], [-np.inf, -1.0, 1.0], [np.nan] * 3, [0] * 3])
def test_values_that_are_not_numbers_are_drawn_without_a_warning(values):
    with np.errstate(all="raise"):
        pixels, _ = shades(np.array([[values]], dtype=float))
    assert pixels.dtype == np.uint8


def test_a_large_plane_is_averaged_down_and_a_small_one_is_repeated():
    chess = np.indices((960, 480)).sum(axis=0) % 2 * 200.0
    pixels, _ = shades(chess[None])
    assert pixels.shape == (240, 120) and (pixels == 100).all()
    small = np.array([[[0.0, 255.0, 0.0]]])
    pixels, _ = shades(small)
    assert pixels.shape == (80, 240) and (pixels[:, 80:160] == 255).all() and not pixels[:, :80].any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (239, 241)])
def test_every_shape_of_image_has_a_sheet(shape):
    plane = np.ones((1, *shape)) * 100
    pixels = drawn(Tile("x", plane), [Tile("y", plane)])
    assert (pixels == 100).all(axis=2).any()


def test_the_original_comes_first_and_the_responses_follow_row_by_row():
    tiles = [Tile(str(level), np.full((1, 60, 60), float(level))) for level in (10, 20, 30, 40, 50, 60, 70, 80)]
    pixels = drawn(Tile("original", np.full((1, 60, 60), 5.0)), tiles)
    height, width = (extent - sheet._MARGIN for extent in pixels.shape[:2])
    rows = [sheet._MARGIN + height // 3 * row + 100 for row in range(3)]
    columns = [sheet._MARGIN + width // 3 * column + 100 for column in range(3)]
    assert pixels[np.ix_(rows, columns)][:, :, 0].tolist() == [[5, 10, 20], [30, 40, 50], [60, 70, 80]]


def test_a_sheet_of_grey_tiles_is_a_grey_file():
    file = io.BytesIO()
    draw_sheet(file, Tile("a", GREY), [Tile("b", GREY)], 255.0)
    assert Image.open(file).mode == "L"


@pytest.mark.parametrize("count", range(1, 70))
def test_a_sheet_has_room_for_its_tiles_and_no_empty_row_or_column(count):
    columns = sheet._columns(count, 264 / 240)
    assert 1 <= columns <= count
    assert -count % columns < columns


def test_too_many_responses_are_cut_and_the_sheet_says_so(monkeypatch):
    labels = []
    monkeypatch.setattr(sheet, "_fitting", lambda draw, font, text, room: labels.append(text) or "")
    drawn(Tile("x.png", GREY), [Tile(f"filter {number}", GREY) for number in range(100)])
    assert labels[0] == "x.png: 63 of 100 responses" and labels[-1] == "filter 62" and len(labels) == 64


@pytest.mark.parametrize("label", ["", "a" * 300, "Füße.png", "写真.jpg", "two\nlines.png", "not\udcffUTF-8", "🙂"])
def test_any_name_can_stand_under_a_picture(label):
    short = drawn(Tile("", GREY), [Tile("", GREY)])
    assert drawn(Tile(label, GREY), [Tile(label, GREY)]).shape == short.shape


def test_a_name_that_is_too_long_does_not_reach_into_its_scale():
    plain = drawn(Tile("", GREY), [])
    long = drawn(Tile("m" * 300, GREY), [])
    scale = plain.shape[1] - sheet._MARGIN - 50  # where "0 to 255" stands
    np.testing.assert_array_equal(long[:, scale:], plain[:, scale:])
    assert (long != plain).any()


def test_tiles_are_named_for_their_filter_and_where_there_are_several_for_their_group():
    response = np.arange(12.0).reshape(6, 1, 2)
    by_plane = response_tiles(response, ("f", "g"), 3, colours=False)
    assert [tile.label for tile in by_plane] == [f"group {group}, {f}" for group in (1, 2, 3) for f in "fg"]
    np.testing.assert_array_equal(np.concatenate([tile.planes for tile in by_plane]), response)
    coloured = response_tiles(response, ("f", "g"), 3, colours=True)
    assert [tile.label for tile in coloured] == ["f", "g"]
    np.testing.assert_array_equal(coloured[1].planes, response[[1, 3, 5]])
    single = response_tiles(response[:2], ("f", "g"), 1, colours=False)
    assert [tile.label for tile in single] == ["f", "g"]
