"""What the first kernel loads."""

import subprocess
import sys

CODE = """
import sys
import numpy as np
from drizzlewb.kernels.drizzle import finish

sums, out = np.ones((2, 3, 3)), np.empty((2, 3, 3), np.float32)
finish(*sums, 0.0, *out)
assert "scipy.linalg" not in sys.modules, "scipy.linalg was loaded"
import numba

@numba.njit
def product(a, b):
    return a @ b

assert (product(np.eye(2), np.full((2, 2), 3.0)) == 3.0).all()
import scipy.linalg.cython_blas
assert scipy.linalg.cython_blas.__file__
"""


def test_kernels_do_without_scipy_linalg_and_leave_it_to_others():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
