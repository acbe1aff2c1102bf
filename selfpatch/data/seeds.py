"""Numbers -> one seed."""

import numpy as np


def mixed_seed(*numbers: int) -> int:
    """Mix numbers from 0 on, such as seed, epoch and index, into a seed of 64 bits.

    The mixing is that of :class:`numpy.random.SeedSequence`, which is documented and the same on
    every machine and in every version: numbers that differ in one bit give unrelated seeds.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
