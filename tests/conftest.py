"""What all tests share: the Hypothesis profiles and the axes that a test is run over. It must not know any test.

The trap of this layout is handled by pytest's own rootdir rules: tests/ is put on sys.path, the clone's root is not, so
`import cgconv` finds the installed package and never the source folder beside it.
"""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_common = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("default", max_examples=100, derandomize=True, **_common)  # the same problems in every run
settings.register_profile(
    "search", max_examples=2000, **_common
)  # pytest --hypothesis-profile=search looks for new ones
settings.load_profile("default")


def pytest_configure(config):
    """`python -m pytest` in the clone's root puts that root on the path; the package without its compiled core is no use."""
    root = Path(__file__).parent.parent
    if not any((root / "cgconv").glob("_core*.so")):
        sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != root]


def pytest_generate_tests(metafunc):
    """A test that takes `isa` runs once for each instruction set of this CPU and build."""
    if "isa" in metafunc.fixturenames:
        import cgconv

        metafunc.parametrize("isa", cgconv.isa_alternatives())


@pytest.fixture
def own_num_threads():
    """Puts the default thread count back after the test."""
    import cgconv

    before = cgconv.get_num_threads()
    yield
    cgconv.set_num_threads(before)
