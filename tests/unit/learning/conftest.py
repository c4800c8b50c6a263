"""What the tests of the learning room share."""

import pytest

from learning.tasks.digits import DigitsTask


@pytest.fixture(scope="session")
def digits():
    return DigitsTask()


@pytest.fixture(scope="session")
def digit_shards(digits):
    return digits.make_shards(4, split="iid", seed=1)
