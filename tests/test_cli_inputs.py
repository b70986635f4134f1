"""The inputs of `cgconv apply`: which pixels the convolution gets to see, and which files are refused, and how.

It must not know what the convolution makes of them.
"""

import io
import os
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

import cgconv
from cgconv.command import batch
from cgconv.command.images import SAMPLES
from command_line import colours, edges_of, files, identity, runner, save_image


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    return runner(tmp_path, monkeypatch, capsys)


# ---- pixels -------------------------------------------------------------------------------------------------------


def pixels_of(run, tmp_path, name):
    """What the convolution gets to see of an image file."""
    for channels in (1, 3):
        identity(tmp_path / f"id{channels}.npz", channels)
        status, _, _ = run("apply", f"id{channels}.npz", name, "--out", f"r{channels}", "--save", "npy")
        if status == 0:
            return np.load(tmp_path / f"r{channels}" / f"{name.split('.')[0]}.id{channels}.npy")
    pytest.fail(f"{name} was refused")


def test_grey_levels_of_8_and_16_bits_keep_their_values(run, tmp_path):
    for dtype, name in (("uint8", "a.png"), ("uint16", "b.png"), ("uint16", "c.tif"), ("float32", "d.tif")):
        grey = (np.arange(20 * 30).reshape(20, 30) * 0.4).astype(dtype)
        if dtype == "uint16":
            grey *= 250
        save_image(tmp_path / name, grey)
        np.testing.assert_array_equal(pixels_of(run, tmp_path, name)[:, :, 0], grey)


def test_a_bilevel_image_is_black_and_white(run, tmp_path):
    bits = np.random.default_rng(7).random((20, 30)) < 0.5
    save_image(tmp_path / "a.png", bits)
    np.testing.assert_array_equal(pixels_of(run, tmp_path, "a.png")[:, :, 0], bits * 255)


def test_a_palette_becomes_its_colours(run, tmp_path):
    image = Image.fromarray(colours()).quantize(16)
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.gif")
    for name in ("a.png", "b.gif"):
        np.testing.assert_array_equal(pixels_of(run, tmp_path, name), np.asarray(image.convert("RGB")))


def test_what_is_transparent_is_white(run, tmp_path):
    rgba = np.dstack([colours(), np.zeros((20, 30), np.uint8)])
    rgba[:10, :, 3] = 255
    save_image(tmp_path / "a.png", rgba)
    seen = pixels_of(run, tmp_path, "a.png")
    np.testing.assert_array_equal(seen[:10], rgba[:10, :, :3])
    assert (seen[10:] == 255).all()
    grey = np.dstack([colours()[:, :, 0], rgba[:, :, 3]])
    save_image(tmp_path / "b.png", grey)
    seen = pixels_of(run, tmp_path, "b.png")
    np.testing.assert_array_equal(seen[:10, :, 0], grey[:10, :, 0])
    assert seen.shape[2] == 1 and (seen[10:] == 255).all()


def test_the_orientation_that_a_camera_noted_is_applied(run, tmp_path):
    pixels = colours()
    for orientation, upright in ((6, np.rot90(pixels, -1)), (3, pixels[::-1, ::-1]), (2, pixels[:, ::-1])):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save_image(tmp_path / f"a{orientation}.png", pixels, exif=exif)
        np.testing.assert_array_equal(pixels_of(run, tmp_path, f"a{orientation}.png"), upright)


def test_of_an_animation_the_first_frame_is_taken(run, tmp_path):
    frames = [Image.fromarray(colours(seed=seed)) for seed in (1, 2)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(pixels_of(run, tmp_path, "a.tif"), colours(seed=1))


def test_print_colours_become_screen_colours(run, tmp_path):
    image = Image.fromarray(colours()).convert("CMYK")
    image.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(pixels_of(run, tmp_path, "a.tif"), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_lies_in_the_wheel_of_scikit_image(run, tmp_path, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)  # what scikit-image fetches others with
    status, _, err = run("apply", "edges", "--sample", name, "--out", "r", "--save", "npy")
    assert (status, err) == (0, "")
    assert files(tmp_path / "r") == [f"{name}.edges.npy"]


def test_a_sample_without_a_name_is_the_astronaut(run, tmp_path):
    assert run("apply", "edges", "--out", "r", "--sample")[0] == 0
    assert files(tmp_path / "r") == ["astronaut.edges.png"]


# ---- inputs -------------------------------------------------------------------------------------------------------


def test_a_folder_gives_its_images_and_arrays_in_order(run, tmp_path):
    for name in ("in/b.png", "in/A.JPG", "in/sub/deep.png", "in/.hidden.png"):
        save_image(tmp_path / name)
    np.save(tmp_path / "in/c.npy", colours())
    (tmp_path / "in/notes.txt").write_text("not an image, and none was asked for")
    status, out, err = run("apply", "edges", "in", "--out", "r")
    assert (status, err) == (0, "")
    assert out.startswith("3 done, 0 refused; ")
    assert files(tmp_path / "r") == ["A.edges.png", "b.edges.png", "c.edges.png"]


def test_options_may_stand_between_the_inputs(run, tmp_path):
    for name in "abc":
        save_image(tmp_path / f"{name}.png")
    status, out, _ = run("apply", "edges", "a.png", "--out", "r", "b.png", "--save", "npy", "c.png")
    assert status == 0 and out.startswith("3 done, 0 refused; ")


def test_a_file_that_is_named_twice_is_taken_once(run, tmp_path):
    save_image(tmp_path / "in/a.png")
    status, out, _ = run("apply", "edges", "in", "in/a.png", tmp_path / "in" / "a.png", "--out", "r")
    assert status == 0 and out.startswith("1 done, 0 refused; ")


def test_inputs_of_the_same_name_do_not_meet(run, tmp_path):
    arrays = [colours(seed=seed) for seed in range(4)]
    for name, array in zip(("a/photo.png", "b/photo.png", "b/Photo.png", "b/photo-2.png"), arrays, strict=True):
        save_image(tmp_path / name, array)
    status, _, err = run(
        "apply", "edges", "a/photo.png", "b/photo.png", "b/Photo.png", "b/photo-2.png", "--out", "r", "--save", "npy"
    )
    assert (status, err) == (0, "")
    names = ("photo", "photo-2", "Photo-3", "photo-2-2")
    assert files(tmp_path / "r") == sorted(f"{name}.edges.npy" for name in names)
    for name, array in zip(names, arrays, strict=True):
        np.testing.assert_array_equal(np.load(tmp_path / "r" / f"{name}.edges.npy"), edges_of(array))


# ---- refusals -----------------------------------------------------------------------------------------------------


def png_bytes(array=None):
    file = io.BytesIO()
    Image.fromarray(colours() if array is None else array).save(file, "PNG")
    return file.getvalue()


def jpeg_bytes():
    file = io.BytesIO()
    Image.fromarray(colours(200, 300)).save(file, "JPEG")
    return file.getvalue()


def npy_bytes(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def huge_npy():
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000, 1000000), }\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def png_of_size(width, height):
    """A PNG file that promises so many pixels and holds none."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


BAD = {
    "text.png": (b"this is a text", "not an image that can be read"),
    "text.npy": (b"this is a text", "cannot be read"),
    "program": (b"\x7fELF" + bytes(100), "not an image that can be read"),
    "drawing.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image that can be read"),
    "empty.png": (b"", "the file is empty"),
    "empty.npy": (b"", "the file is empty"),
    "half.png": (png_bytes()[:500], "cannot be read"),
    "half.jpg": (jpeg_bytes()[:5000], "cannot be read"),
    "flipped.png": (png_bytes()[:60] + bytes(40) + png_bytes()[100:], "cannot be read"),
    "half.npy": (npy_bytes(colours())[:500], "cannot be read"),
    "headless.npy": (npy_bytes(colours())[:20], "cannot be read"),
    "huge.npy": (huge_npy(), ""),
    "archive.npy": (b"PK\x05\x06" + bytes(18), "not a .npy array but an archive"),
    "objects.npy": (npy_bytes(np.array([[{}]]), allow_pickle=True), "cannot be read"),
    "complex.npy": (npy_bytes(np.ones((4, 4), complex)), "an array of complex128; the convolution takes real"),
    "words.npy": (npy_bytes(np.array([["a", "b"]])), "an array of <U1; the convolution takes real numbers"),
    "scalar.npy": (npy_bytes(np.float32(1)), "shape () is neither height x width nor height x width x channels"),
    "vector.npy": (npy_bytes(np.ones(5)), "shape (5,) is neither height x width nor height x width x channels"),
    "batch.npy": (npy_bytes(np.ones((1, 1, 5, 5))), "--format names the axes of other arrays"),
    "nothing.npy": (npy_bytes(np.ones((0, 5, 3))), "shape (0, 5, 3) has no pixels"),
    "colourless.npy": (npy_bytes(np.ones((5, 5, 0))), "shape (5, 5, 0) has no pixels"),
    "large.png": (png_of_size(12000, 9000), "more than the 89478485 pixels that Pillow takes; save it as .npy"),
    "bomb.png": (png_of_size(60000, 60000), "more than the 89478485 pixels that Pillow takes; save it as .npy"),
    "zero.png": (png_of_size(0, 5), "not an image that can be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_a_line_and_the_others_go_on(run, tmp_path, name):
    content, reason = BAD[name]
    (tmp_path / name).write_bytes(content)
    save_image(tmp_path / "good.png")
    save_image(tmp_path / "better.png")
    status, out, err = run("apply", "edges", "good.png", name, "better.png", "--out", "r")
    assert status == 1
    assert out.startswith("2 done, 1 refused; ")
    assert files(tmp_path / "r") == ["better.edges.png", "good.edges.png"]
    assert err.count("\n") == 1 and err.startswith(f"cgconv: {name}: ") and reason in err


def test_what_is_not_there_is_refused(run, tmp_path):
    save_image(tmp_path / "good.png")
    (tmp_path / "void").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    status, out, err = run("apply", "edges", "gone.png", "good.png", "void", "pipe.png", "--out", "r")
    assert status == 1 and out.startswith("1 done, 3 refused; ")
    assert err.splitlines() == [
        "cgconv: gone.png: no such file or folder",
        "cgconv: void: holds no images or .npy arrays (subfolders are not searched)",
        "cgconv: pipe.png: neither a file nor a folder",
    ]


def test_a_file_that_goes_away_before_its_turn_is_refused(run, tmp_path, monkeypatch):
    for name in "abc":
        save_image(tmp_path / f"{name}.png")
    batch_run = batch.Batch.run
    monkeypatch.setattr(batch.Batch, "run", lambda *arguments: os.remove("b.png") or batch_run(*arguments))
    status, out, err = run("apply", "edges", "a.png", "b.png", "c.png", "--out", "r")
    assert status == 1 and out.startswith("2 done, 1 refused; ")
    assert err.startswith("cgconv: b.png: cannot be read: FileNotFoundError: ") and err.count("\n") == 1
    assert files(tmp_path / "r") == ["a.edges.png", "c.edges.png"]


def test_a_name_that_could_break_the_line_is_written_with_escapes(run, tmp_path):
    (tmp_path / "two\nlines.png").write_text("no image")
    status, _, err = run("apply", "edges", "two\nlines.png", "--out", "r")
    assert status == 1 and err.startswith("cgconv: two\\nlines.png: not an image") and err.count("\n") == 1


def test_if_all_are_refused_nothing_is_claimed(run, tmp_path):
    assert run("apply", "edges", "gone.png", "--out", "r")[:2] == (1, "0 done, 1 refused\n")


def test_an_image_with_other_channels_than_the_layer_is_refused(run, tmp_path):
    identity(tmp_path / "id.npz", 3)
    save_image(tmp_path / "grey.png", colours()[:, :, 0])
    save_image(tmp_path / "colour.png")
    status, _, err = run("apply", "id.npz", "grey.png", "colour.png", "--out", "r")
    assert status == 1 and err == "cgconv: grey.png: channels=1; the layer takes 3\n"
    assert files(tmp_path / "r") == ["colour.id.png"]


def test_an_image_that_is_smaller_than_the_filter_is_refused(run, tmp_path):
    layer = cgconv.GroupedConvolution2DLayer(7, 1, "channel-wise", seed=1)
    layer.initialize((1, 3, 9, 9))
    layer.save(tmp_path / "seven.npz")
    save_image(tmp_path / "small.png", colours(5, 5))
    save_image(tmp_path / "large.png", colours(9, 9))
    status, _, err = run("apply", "seven.npz", "small.png", "large.png", "--out", "r")
    assert status == 1 and err.startswith("cgconv: small.png: ") and err.count("\n") == 1
    assert "7" in err and "5" in err
    assert files(tmp_path / "r") == ["large.seven.png"]


def test_an_array_must_have_the_axes_of_the_format(run, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 5, 3)))
    status, _, err = run("apply", "edges", "x.npy", "--out", "r", "--format", "NCHW")
    assert status == 1 and err == "cgconv: x.npy: an array of shape (4, 5, 3); BCSS has 4 axes\n"
