"""The house keeps its floors: includes and imports go only downward, and each kind of knowledge lives in one place.

It reads the sources as text, and must not know what they compute.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
C = ROOT / "src" / "c"
FLOORS = ("api", "plan", "algo", "kernels", "platform")  # from the top; each may include its own and all below
SYSTEM_HEADERS = {"math", "stdarg", "stddef", "stdint", "stdio", "stdlib", "string", "limits"}


def under(folder, *endings):
    return [p for p in sorted(folder.rglob("*")) if p.suffix in endings and "build" not in p.parts]


def name(path):
    return str(path.relative_to(ROOT))


def without_comments(text):
    """C code with its comments gone and its lines kept."""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
    return re.sub(r"//.*", "", text)


def code(path):
    return without_comments(path.read_text())


def mentions(files, pattern):
    """Where the pattern stands in the code, comments aside, of these C files."""
    found = re.compile(pattern)
    return [
        f"{name(p)}:{i}: {line.strip()}"
        for p in files
        for i, line in enumerate(code(p).splitlines(), 1)
        if found.search(line)
    ]


C_FILES = under(C, ".c", ".h")
ALL_FILES = under(ROOT / "src", ".c", ".h", ".pyx", ".pxd", ".pxi") + under(ROOT / "cgconv", ".py", ".pyi", ".pxd")
ALL_FILES += (
    under(ROOT / "tests", ".py", ".c", ".h")
    + under(ROOT / "bench", ".py")
    + under(ROOT / "examples", ".py", ".c", ".pyx")
)

# ---- the C core --------------------------------------------------------------------------------------------


def test_every_c_file_stands_on_a_floor():
    strangers = [name(p) for p in C_FILES if p.relative_to(C).parts[0] not in (*FLOORS, "include", "cuda")]
    assert not strangers
    assert all(list((C / floor).glob("*.c")) for floor in FLOORS)


def test_includes_go_only_downward():
    upward = []
    for path in C_FILES:
        here = path.relative_to(C).parts[0]
        for include in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.M):
            target = (path.parent / include).resolve()
            assert target.is_file(), f"{name(path)} includes {include}, which is not there relative to it"
            there = target.relative_to(C).parts[0]
            if there != "include" and (here == "include" or FLOORS.index(there) < FLOORS.index(here)):
                upward.append(f"{name(path)} includes {include}")
    assert not upward


def test_the_public_header_includes_only_two_standard_headers():
    assert re.findall(r"#\s*include\s+(\S+)", (C / "include" / "cgconv.h").read_text()) == [
        "<stddef.h>",
        "<stdint.h>",
    ]


def test_only_standard_headers_are_included_outside_kernels_and_platform():
    files = [p for p in C_FILES if p.relative_to(C).parts[0] not in ("kernels", "platform")]
    used = {(name(p), h) for p in files for h in re.findall(r"#\s*include\s+<([^>]+)\.h>", p.read_text())}
    assert not {(p, h) for p, h in used if h not in SYSTEM_HEADERS}


def test_only_threads_openmp_knows_openmp():
    outside = [p for p in C_FILES if p.name != "threads_openmp.c"]
    found = mentions(outside, r"\bomp_|<omp\.h>|pragma\s+omp|_OPENMP")
    # Its serial twin has to know when to step aside.
    assert [f for f in found if not (f.startswith("src/c/platform/threads_serial.c") and "_OPENMP" in f)] == []
    assert mentions([C / "platform" / "threads_openmp.c"], r"omp_get_max_threads")


def test_the_thread_count_of_the_process_is_left_alone():
    assert not mentions(C_FILES, r"\bomp_set_")


def test_only_kernels_and_cpu_know_instruction_sets():
    outside = [p for p in C_FILES if p.parent != C / "kernels" and p.name not in ("cpu.c", "cpu.h")]
    assert not mentions(outside, r"\b\w*mmintrin|arm_neon|__m\d|\b_mm\d*_|__builtin_cpu|__builtin_ia32|cpuid")
    assert not mentions(outside, r"__AVX|__FMA__|__SSE|__x86|_M_X64|__aarch64")
    assert not mentions(outside, r"(?i)avx|neon")


def test_nothing_in_the_core_knows_python():
    assert not mentions(C_FILES, r"Python\.h|\bPy[A-Z_]|numpy")


def test_the_core_prints_nothing_and_never_ends_the_process():
    assert not mentions(
        C_FILES, r"\b(printf|fprintf|puts|fputs|putchar|perror|abort|exit|_Exit|assert|raise|longjmp|errno|syslog)\b"
    )


def test_the_core_reads_the_environment_but_never_writes_it():
    assert not mentions(C_FILES, r"\b(setenv|putenv|unsetenv|setlocale)\b")
    outside = [p for p in C_FILES if p.relative_to(C).parts[0] not in ("kernels", "platform")]
    assert not mentions(outside, r"\bgetenv\b")


def test_only_plan_creation_allocates():
    outside = [p for p in C_FILES if p not in (C / "api" / "api.c", C / "api" / "separable.c")]
    assert not mentions(outside, r"\b(malloc|calloc|realloc|free|aligned_alloc|posix_memalign|alloca|strdup)\s*\(")


def test_the_floating_point_environment_is_left_alone():
    assert not mentions(C_FILES, r"fenv|fesetround|_MM_SET|_mm_setcsr|fast.math|GCC\s+optimize|float_control")


def test_every_algorithm_but_the_reference_leaves_numbers_to_the_kernels():
    files = [p for p in under(C / "algo", ".c") if not p.name.startswith("reference")]
    assert files
    assert not mentions(files, r"\b(float|fmaf?|sqrtf?)\b")


def c_definitions(text):
    """The names that a C file defines with external linkage: at brace depth 0, not static, no type."""
    text = re.sub(r'"(\\.|[^"\\])*"', '""', without_comments(text))
    text = re.sub(r"^\s*#(\\\n|.)*$|__attribute__\(\(.*?\)\)", "", text, flags=re.M)
    while re.search(r"\{[^{}]*\}", text):  # bodies and initialisers, from the inside out
        text = re.sub(r"\{[^{}]*\}", ";BODY ", text)
    found, is_type = [], False
    for statement in map(str.strip, text.split(";")):
        if is_type and statement.startswith("BODY"):  # what follows is the name of a type, or nothing
            continue
        statement = statement.removeprefix("BODY").strip()
        is_type = bool(re.search(r"\b(typedef|enum|struct|union)\b[^()=]*$", statement))
        if statement and not is_type and not statement.startswith(("static", "extern", "_Static_assert")):
            found += re.findall(r"(\w+)\s*$", re.split(r"[(=\[]", statement, maxsplit=1)[0])
    return found


def test_the_reader_of_c_definitions_finds_them():
    text = """
        static int a(void) { return 1; }
        int b(int x) { if (x) { } return 0; }
        /* int c; */
        typedef struct s { int i; } s;
        static const struct { int i; } t[] = {{1}, {2}};
        const T d = {1, {2}};
        int e[3];"""
    assert c_definitions(text) == ["b", "d", "e"]


def test_symbols_are_named_for_their_floor():
    internal = C / "api" / "arguments.c"
    exporting = [p for p in under(C / "api", ".c") if p != internal]
    public = {n for p in exporting for n in c_definitions(p.read_text())}
    assert public
    assert all(n.startswith("cgconv_") for n in public), sorted(public)
    for path in under(C, ".c"):
        if path not in exporting:
            foreign = [
                n for n in c_definitions(path.read_text()) if not n.startswith("cgc_") and not n.startswith("NAME")
            ]
            assert not foreign, f"{name(path)} defines {foreign}; internal names begin with cgc_"


def test_every_declared_function_is_defined():
    declared = set(re.findall(r"CGCONV_API[^;]*?\b(cgconv_\w+)\s*\(", code(C / "include" / "cgconv.h")))
    defined = {n for p in under(C, ".c") for n in c_definitions(p.read_text())}
    assert len(declared) > 20
    assert declared == {n for n in defined if n.startswith("cgconv_")}


# ---- the Python package ------------------------------------------------------------------------------------

PACKAGE = ROOT / "cgconv"
# From the top; a module may import only from the lines below its own. "" is the package's own __init__.
PYTHON_FLOORS = """
    __main__
    cli
    command.bench.command
    command.bench.plot command.bench.report
    command.bench.measure
    command.bench.truth command.bench.memory
    command.bench.peers
    command.bench.peers.torch command.bench.peers.onnxruntime command.bench.peers.openvino command.bench.peers.ncnn
    command.bench.peers.opencv
    command.bench.peers.onnx_model
    command.bench.case
    command.bench.problems command.bench.machine
    command.apply
    command.batch
    command.sheet command.outputs
    command.images command.progress command.usage
    bank
    adapters.torch
    adapters.torch.convert adapters.torch.training
    adapters.torch.module
    adapters.torch.ops
    ""
    storage optimizers
    layer
    functional
    cache
    separable
    plan
    config display initializers properties
    arrays formats
    spec
    _core
"""
FLOOR_OF = {m.strip('"'): i for i, line in enumerate(PYTHON_FLOORS.strip().splitlines()) for m in line.split()}
FRIENDS = {
    "PIL": {"command.images", "command.sheet"},
    "skimage": {"command.images"},
    "tqdm": {"command.progress"},
    "safetensors": {"storage"},
    "torch": {
        "command.bench.peers.torch",
        *(f"adapters.torch{part}" for part in ("", ".convert", ".training", ".module", ".ops")),
    },
    "onnxruntime": {"command.bench.peers.onnxruntime"},
    "openvino": {"command.bench.peers.openvino"},
    "ncnn": {"command.bench.peers.ncnn"},
    "cv2": {"command.bench.peers.opencv"},
    "matplotlib": {"command.bench.plot"},
}


def module(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def imports(path):
    """(package, module) of all that a module imports anywhere, but for type checkers. Only of this package, "cgconv",
    is the module given: "" for a name in its __init__."""
    tree = ast.parse(path.read_text())
    hidden = {
        n
        for c in ast.walk(tree)
        if isinstance(c, ast.If) and "TYPE_CHECKING" in ast.dump(c.test)
        for n in ast.walk(c)
    }
    here = (
        ["", *module(path).split(".")] if path.name != "__init__.py" else ["", *module(path).split("."), "__init__"]
    )
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0], ""
        elif isinstance(node, ast.ImportFrom):
            base = [part for part in here[: -node.level] if part] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                if alias.name == "__path__":  # where the package lies, which is known before any of it
                    continue
                name = ".".join([*base, alias.name])
                yield "cgconv", name if name in FLOOR_OF else ".".join(base)


MODULES = {module(p): p for p in under(PACKAGE, ".py")}


def test_every_module_has_a_floor():
    halls = {"adapters", "command", "command.bench"}  # packages that hold nothing but their description
    assert {m for m in MODULES if m not in halls} == set(FLOOR_OF) - {"_core"}
    assert not [each for hall in halls for each in imports(MODULES[hall])]


@pytest.mark.parametrize("name", [m for m in FLOOR_OF if m != "_core"])
def test_imports_go_only_downward(name):
    upward = {m for package, m in imports(MODULES[name]) if package == "cgconv" and FLOOR_OF[m] <= FLOOR_OF[name]}
    assert upward == ({"storage"} if name == "layer" else set())  # layer.save(path), short for a function of storage


def test_other_packages_are_imported_only_by_the_module_that_knows_them():
    for name, path in MODULES.items():
        for package, _ in imports(path):
            if package in ("cgconv", "numpy") or package in sys.stdlib_module_names:
                continue
            assert name in FRIENDS.get(package, ()), f"cgconv.{name} imports {package}"


def test_importing_the_package_imports_nothing_but_numpy_and_the_standard_library():
    script = "import sys; before = set(sys.modules); import cgconv; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    packages = {m.split(".")[0] for m in loaded}
    assert "cgconv" in packages
    assert packages.isdisjoint({*FRIENDS, "torch", "scipy", "pytest"})


# ---- every file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ALL_FILES, ids=name)
def test_a_file_is_short_and_opens_with_what_it_holds(path):
    text = path.read_text()
    lines = text.splitlines()
    opening = {".c": ("/*", "//"), ".h": ("/*", "//"), ".pyi": ('"""', "#"), ".pxd": ('"""', "#")}
    openings = opening.get(path.suffix, ('"""', "#", 'r"""'))
    if lines:  # an empty __init__.py needs no word
        assert text.startswith(openings), f"{name(path)} does not open with a comment"
    assert len(lines) <= 400, f"{name(path)} has {len(lines)} lines"


def test_no_line_is_wider_than_120_columns():
    lines = [(p, i, line) for p in ALL_FILES for i, line in enumerate(p.read_text().splitlines(), 1)]
    assert not [f"{name(p)}:{i} has {len(line)}" for p, i, line in lines if len(line) > 120]


@pytest.mark.parametrize("path", [p for p in ALL_FILES if p.suffix in (".c", ".h")], ids=name)
def test_a_c_function_fits_a_screen(path):
    start, lengths = None, []
    for i, line in enumerate(code(path).splitlines()):
        if line.endswith("{") and not line.startswith((" ", "#", "typedef", "struct", "enum", "extern")):
            start = i
        elif line.startswith("}") and start is not None:
            lengths.append((i - start, start + 1))
            start = None
    assert all(length < 80 for length, _ in lengths), f"{name(path)}: (length, line) {max(lengths)}"


@pytest.mark.parametrize("path", [p for p in ALL_FILES if p.suffix == ".py"], ids=name)
def test_a_python_function_fits_a_screen(path):
    tree = ast.parse(path.read_text())
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    long = [(n.name, n.end_lineno - n.lineno) for n in functions if n.end_lineno - n.lineno >= 80]
    assert not long
