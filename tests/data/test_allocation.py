"""A process that keeps what it frees takes the same memory again."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from selfpatch.data.allocation import keep_freed_memory

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        [np.ones(75_000) for _ in range(8)]  # as large as views of 224 pixels
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = page_faults()
keep_freed_memory(2**28)
page_faults()
print(given_back, page_faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_what_is_freed_is_taken_again_and_no_page_is_asked_for():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    given_back, kept = map(int, done.stdout.split())
    assert given_back > 20 * 8 * 100
    assert kept < given_back / 20
