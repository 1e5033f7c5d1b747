"""The jobs of the code-length study."""

import numpy as np
import pytest

from dch.experiments.jobs.code_length import search_ms


@pytest.mark.parametrize("bits", [8, 64, 128])
def test_the_search_time_is_measured_for_codes_shorter_and_longer_than_a_word(bits):
    assert 0 < search_ms(bits, 1000, np.random.default_rng(0)) < 1000
