"""The problems of `cgconv bench`: how they are written, what is refused, and the work that is counted in them.

It must not know how they are measured.
"""

from pathlib import Path

import numpy as np
import pytest

import cgconv
from benching import problem
from cgconv.command.bench.machine import Machine
from cgconv.command.bench.problems import COLUMNS, DEFAULT, find_problems
from cgconv.command.usage import UsageError

# ---- problems ------------------------------------------------------------------------------------------------------


def test_a_problem_reads_the_same_from_a_file_a_line_and_words(tmp_path):
    line = "a,2,6,9,8,2,3,3,2,2,1,1,0,1,0,1,2,replicate"
    (tmp_path / "p.csv").write_text(",".join(COLUMNS) + "\n" + line + "\n")
    words = " ".join(f"{column}={cell}" for column, cell in zip(COLUMNS, line.split(","), strict=True))
    same = find_problems([str(tmp_path / "p.csv"), line, words], [])
    assert same[0] == same[1] == same[2]
    assert same[0].weight_shape == (6, 2, 3, 2) and same[0].pads == (1, 0, 1, 0)
    assert same[0].padding_value == "replicate"


def test_what_a_line_leaves_out_is_one_or_no_padding():
    assert problem("name=a c=6 h=9 w=8 k=3") == problem("a,1,6,9,8,1,1,3,3,1,1,0,0,0,0,1,1,0")
    assert problem("c=6, h=9, w=8, k=3").name == "c=6  h=9  w=8  k=3"


def test_a_word_may_set_several_columns():
    found = problem("c=6,h=9,w=8,k=3,stride=2,pad=1,dilation=3")
    assert (found.kh, found.kw, found.stride_h, found.stride_w) == (3, 3, 2, 2)
    assert found.pads == (1, 1, 1, 1) and (found.dilation_h, found.dilation_w) == (3, 3)


def test_without_problems_those_of_the_package_are_taken():
    problems = find_problems([], [])
    assert problems == find_problems([str(DEFAULT)], [])
    assert {"mbv1-dw3-112x32", "replknet-dw31-28x256", "dense-1x1-28x256"} <= {each.name for each in problems}


def test_the_problem_files_beside_the_script_can_be_read():
    folder = Path(__file__).parent.parent / "bench"
    assert find_problems([str(folder / "problems.csv")], []) == find_problems([], [])
    assert all(each.is_image_filter for each in find_problems([str(folder / "images.csv")], []))


def test_a_pattern_chooses_among_the_problems():
    assert {each.name for each in find_problems([], ["convnext-*", "mult2*"])} == {
        "convnext-dw7-56x96",
        "convnext-dw7-14x384",
        "mult2-dw3-56x64",
    }


@pytest.mark.parametrize(
    ("argument", "rule"),
    [
        ("c=8 h=5 w=5 k=3 groups=3", "groups=3 does not divide the 8 input channels"),
        ("c=8 h=5 w=5 k=6", "height: the input of 5 padded by 0 and 0 is smaller"),
        ("c=x h=5 w=5 k=3", "c='x': must be a whole number of at least 1"),
        ("c=8 h=0 w=5 k=3", "h='0': must be a whole number of at least 1"),
        ("c=8 h=5 w=5 k=3 pad=-1", "pad_top='-1': must be a whole number of at least 0"),
        ("c=8 h=5 w=5 k=3 padding_value=blue", "padding_value='blue': must be a number, 'symmetric-include-edge'"),
        ("c=8 h=5 w=5", "the column 'kh' is missing"),
        ("c=8 h=5 w=5 k=3 colour=red", "'colour=red' is not a column=value; the columns are name, n, c"),
        ("c=8 h=5 w=5 k=3 fast", "'fast' is not a column=value"),
        ("1,2,3", "it has 3 cells; the columns are name, n, c"),
        (",1,6,9,8,2,3,3,2", "name='': must be a word"),
        ("nowhere.csv", "neither a problem line nor a file of problems: No such file"),
    ],
)
def test_a_bad_problem_is_refused_with_the_rule(argument, rule):
    with pytest.raises(UsageError) as refusal:
        find_problems([argument], [])
    assert str(refusal.value).startswith(f"problem {argument!r}: {rule}")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("name,n,c,h,w,filters_per_group,groups,kh,kw\na,1,8,5,5,1,1,3,3\nb,1,8,5,5,1,3,3,3\n", "line 3: groups=3"),
        ("name,n,c,h,w,filters_per_group,groups,kh,kw\na,1,8,5,5,1,1,3\n", "line 2: it does not have as many cells"),
        ("name,n,c,h,w,filters_per_group,groups,kh,kw\na,1,8,5,5,1,1,3,3,3\n", "line 2: it does not have as many"),
        ("name,n,c,h,w\na,1,8,5,5\n", "the column 'filters_per_group' is missing"),
        ("name,width\na,1\n", "there is no column 'width'"),
    ],
)
def test_a_bad_file_is_refused_with_the_line(tmp_path, text, rule):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(UsageError) as refusal:
        find_problems([str(path)], [])
    assert str(refusal.value).startswith(f"problem {str(path)!r}: {rule}")


def test_an_empty_file_has_no_problems(tmp_path):
    (tmp_path / "p.csv").write_text("")
    with pytest.raises(UsageError, match="there are no problems"):
        find_problems([str(tmp_path / "p.csv")], [])


# ---- the work ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "flops", "cells"),
    [
        ("mbv1-dw3-112x32", 2 * 9 * 32 * 112 * 112, 2 * 32 * 112 * 112 + 32 * 9),
        ("mbv1-dw3s2-112x64", 2 * 9 * 64 * 56 * 56, 64 * (112 * 112 + 56 * 56 + 9)),
        ("mult2-dw3-56x64", 2 * 9 * 128 * 56 * 56, 3 * 64 * 56 * 56 + 128 * 9),
        ("resnext-g32-56x128", 2 * 9 * 4 * 128 * 56 * 56, 2 * 128 * 56 * 56 + 128 * 4 * 9),
        ("batch-dw3-28x192x16", 2 * 9 * 16 * 192 * 28 * 28, 2 * 16 * 192 * 28 * 28 + 192 * 9),
        ("dense-1x1-28x256", 2 * 256 * 256 * 28 * 28, 2 * 256 * 28 * 28 + 256 * 256),
    ],
)
def test_the_work_in_known_problems(name, flops, cells):
    (found,) = find_problems([], [name])
    assert (found.flops, found.cells) == (flops, cells)


@pytest.mark.parametrize(
    ("words", "met"),
    [
        ("c=1 h=8 w=8 k=1 stride=2", 4 * 4),
        ("c=1 h=9 w=7 kh=2 kw=1 dilation_h=8", 2 * 7),
        ("c=1 h=8 w=8 k=3 stride=4 pad=1", 5 * 5),
        ("c=1 h=3 w=3 k=3 pad=5", 3 * 3),
        ("c=1 h=8 w=8 k=2 stride=5", 4 * 4),
    ],
)
def test_input_that_no_filter_meets_need_not_be_touched(words, met):
    found = problem(words)
    assert found.cells == met + found.kh * found.kw + found.y_shape[2] * found.y_shape[3]
    x = np.zeros(found.x_shape, "float32")
    ones = np.ones(found.y_shape, "float32")
    dx = cgconv.conv2d_backward_input(ones, np.ones(found.weight_shape, "float32"), x.shape, **found.keywords)
    assert np.count_nonzero(dx) == met


@pytest.mark.parametrize("name", [each.name for each in find_problems([], [])])
def test_the_sizes_of_a_problem_are_those_of_its_plan(name):
    (found,) = find_problems([], [name])
    assert cgconv.Plan(found.x_shape, found.weight_shape, **found.keywords).output_shape == found.y_shape


def test_the_floor_is_the_later_of_arithmetic_and_memory():
    machine = Machine(100.0, ((0, 50.0), (1000, 20.0), (9000, 5.0)), "")
    assert machine.floor(10**9, 500) == pytest.approx(0.01)
    assert machine.floor(1, 500) == pytest.approx(10e-9)
    assert machine.floor(1, 2000) == pytest.approx(100e-9)
    assert machine.floor(1, 10000) == pytest.approx(2000e-9)


def test_the_machine_is_probed_without_this_library():
    machine = Machine.probe("float64", 2)
    assert machine.peak > 0 and all(rate > 0 for _, rate in machine.bandwidths)
    assert [size for size, _ in machine.bandwidths] == sorted({size for size, _ in machine.bandwidths})
    assert "NumPy's matmul" in machine.source and "NumPy's negation" in machine.source
