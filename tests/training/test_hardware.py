import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from gtzan_lightning.training.hardware import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for turn in range(3):
    blocks = [np.ones(3_000_000) for _ in range(4)]
    del blocks
    if turn == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_used_again_and_not_given_back():
    given_back, kept = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS, how])) for how in ("", "keep")
    )
    assert kept < 100 < given_back
