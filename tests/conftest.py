"""What all tests share: how Hypothesis searches, and fixtures. It must not know any test."""

import pytest
from hypothesis import HealthCheck, settings

COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
# The same problems in every run; `pytest --hypothesis-profile=search` goes and looks for new ones.
settings.register_profile("default", max_examples=100, derandomize=True, database=None, **COMMON)
settings.register_profile("search", max_examples=1000, print_blob=True, **COMMON)
settings.load_profile("default")


@pytest.fixture
def restored_num_threads():
    """Puts the default thread count back after the test."""
    import cgconv

    yield
    cgconv.set_num_threads(None)
