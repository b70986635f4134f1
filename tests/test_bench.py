"""The command `cgconv bench`: what it shows, writes and refuses.

No assertion is about a time: what a test can know is what was counted, compared and written.
"""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from benching import GIVEN, TINY, Friend, cannot, flipped, in_float64, problem
from cgconv.command.bench import command
from cgconv.command.bench.case import Case
from cgconv.command.bench.measure import Outcome, measure
from cgconv.command.bench.report import CSV_COLUMNS, summary
from command_line import runner


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    return runner(tmp_path, monkeypatch, capsys)


def test_a_run_without_peers_shows_a_line_for_each_problem(run):
    status, out, err = run("bench", TINY, "name=wide c=1 h=4 w=9 k=2", "--peers", "none", *GIVEN)
    assert (status, err) == (0, "")
    lines = [line.split("  ")[0] for line in out.splitlines()]
    assert lines.index("problem") < lines.index("tiny") < lines.index("wide")
    assert "peak 100 GFLOP/s (as given); 10 GB/s (as given)" in lines
    assert "ratio" not in out and "fraction of the floor: geometric mean" in out


def test_an_unknown_peer_is_an_error_that_names_the_known_ones(run):
    status, out, err = run("bench", TINY, "--peers", "torch,nosuch")
    assert (status, out) == (2, "")
    assert "'nosuch' is none of torch, onnxruntime, openvino, ncnn, opencv; or say none" in err


@pytest.mark.parametrize("options", [
    ("--plan",), ("--packed",), ("--layout", "NHWC"), ("--dtype", "float64"), ("--threads", "2"),
    ("--pass", "backward_input"), ("--pass", "backward_weight"),
])  # fmt: skip
def test_ours_can_be_measured_in_each_of_its_ways(run, options):
    status, out, _ = run("bench", TINY, "--peers", "none", *GIVEN, *options)
    assert status == 0 and "\ntiny " in out


def test_packed_weights_are_refused_for_gradients(run):
    status, _, err = run("bench", TINY, "--peers", "none", *GIVEN, "--packed", "--pass", "backward_input")
    assert status == 2 and "--packed is for the forward pass" in err


def test_the_csv_has_a_line_for_each_problem_and_contender(run, tmp_path, monkeypatch):
    friends = [Friend("good", in_float64), Friend("bad", flipped), Friend("idle", cannot)]
    monkeypatch.setattr(command, "contenders", lambda names, threads: friends)
    status, out, err = run("bench", TINY, "c=2 h=3 w=3 k=1 name=b", *GIVEN, "--csv", "t.csv", "--markdown", "t.md")
    assert status == 1
    assert err.startswith("cgconv: tiny, bad: wrong: ")
    assert "b, bad" not in err  # a filter of one cell cannot be flipped
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [(row["problem"], row["contender"]) for row in rows] == [
        (each, name) for each in ("tiny", "b") for name in ("cgconv", "good", "bad", "idle")
    ]
    assert rows[0]["flops"] == str(problem(TINY).flops) and rows[0]["bytes"] == str(4 * problem(TINY).cells)
    assert (rows[0]["pass"], rows[0]["dtype"], rows[0]["layout"], rows[0]["threads"]) == (
        "forward", "float32", "NCHW", "1")  # fmt: skip
    assert all(float(row["peak_mib"] or 0) >= 0 for row in rows)
    assert all(float(row["us"]) > 0 for row in rows if row["contender"] in ("cgconv", "good"))
    assert (rows[3]["us"], rows[3]["note"]) == ("", "no luck")
    assert rows[2]["us"] == rows[2]["gflops"] == "" and rows[2]["note"].startswith("wrong: ")
    table = [line for line in (tmp_path / "t.md").read_text().splitlines() if line.startswith("|")]
    heading = [cell.strip() for cell in table[0].strip("|").split("|")]
    assert heading[:5] == ["problem", "MFLOP", "cgconv µs", "GFLOP/s", "of floor"]
    assert heading[5:] == ["good µs", "bad µs", "best peer", "ratio"]  # and nothing of the idle one
    assert [line.split("|")[1].strip() for line in table[2:]] == ["tiny", "b"]
    assert table[2].split("|")[7].strip() == "wrong" and table[2].split("|")[8].strip() == "good"
    assert "ratio, best peer's time / cgconv's: geometric mean" in out


def test_what_was_measured_is_kept_when_the_rest_is_interrupted(run, tmp_path, monkeypatch):
    def interrupted(case, *arguments):
        if case.problem.name == "second":
            raise KeyboardInterrupt
        return measure(case, *arguments, seconds=1e-6)

    monkeypatch.setattr(command, "measure", interrupted)
    status, _, err = run("bench", TINY, "name=second c=1 h=3 w=3 k=3", "--peers", "none", *GIVEN, "--csv", "t.csv")
    assert (status, err) == (130, "cgconv: interrupted\n")
    assert [row.split(",")[0] for row in (tmp_path / "t.csv").read_text().splitlines()] == ["problem", "tiny"]


def test_a_problem_too_large_for_the_memory_is_refused_and_the_others_go_on(run, monkeypatch):
    def too_large(problem, dtype, threads):
        if problem.name == "tiny":
            raise MemoryError
        return Case(problem, dtype, threads)

    monkeypatch.setattr(command, "Case", too_large)
    status, out, err = run("bench", TINY, "name=b c=1 h=3 w=3 k=3", "--peers", "none", *GIVEN)
    assert (status, err) == (1, "cgconv: tiny: too large for the memory\n")
    assert "\nb " in out and "\ntiny " not in out


def test_the_summary_gives_the_geometric_mean_and_the_worst():
    def outcome(words, ours, theirs):
        seconds = {"cgconv": ours, "slow": 2 * theirs, "fast": theirs}
        return Outcome(problem(words), 1, floor=1.0, seconds=seconds, notes={"fast": "Winograd", "none": "no luck"})

    lines = summary([outcome(TINY, 2.0, 4.0), outcome("name=b c=1 h=3 w=3 k=3", 4.0, 2.0)], "cgconv")
    assert lines == [
        "ratio, best peer's time / cgconv's: geometric mean 1.00, worst 0.50 (b)",
        "fraction of the floor: geometric mean 35%, worst 25% (b)",
        "* fast: Winograd",
    ]


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (("--only", "mbv9*"), "--only mbv9*: no problem has such a name"),
        (("--csv", "nowhere/t.csv"), "--csv nowhere/t.csv: there is no such folder"),
        (("--markdown", "."), "--markdown .: a folder"),
        (("--plot", "t.gif"), "--plot t.gif: the name must end in .png, .svg or .pdf"),
        (("--rounds", "0"), "'0' is not a positive whole number"),
        (("--peak-gflops", "nan"), "'nan' is not a positive number"),
        (("--bandwidth-gbs", "-1"), "'-1' is not a positive number"),
        (("--dtype", "float16"), "invalid choice: 'float16'"),
        (("--pass", "sideways"), "invalid choice: 'sideways'"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_before_any_work(run, options, rule):
    status, out, err = run("bench", TINY, "--peers", "none", *options)
    assert (status, out) == (2, "") and rule in err


def test_a_plot_needs_matplotlib(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, _, err = run("bench", TINY, "--peers", "none", "--plot", "t.png")
    assert (status, err) == (2, 'cgconv: --plot needs matplotlib: pip install "cgconv[bench]"\n')


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_plot_is_drawn_with_matplotlib(run, tmp_path, kind, magic):
    pytest.importorskip("matplotlib")
    status, _, err = run("bench", TINY, "--peers", "none", *GIVEN, "--plot", f"t.{kind}")
    assert (status, err) == (0, "")
    assert (tmp_path / f"t.{kind}").read_bytes().startswith(magic)


def test_the_script_beside_the_problems_is_the_command():
    script = Path(__file__).parent.parent / "bench" / "compare.py"
    arguments = [sys.executable, str(script), TINY, "--peers", "none", *GIVEN]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0 and "\ntiny " in done.stdout, done.stderr
