"""Agreement of numbers up to rounding."""

import numpy as np

EPS = np.finfo(float).eps


def close(value, expected, scale=1.0, tolerance=1e-12):
    """Agreement to `tolerance` of the larger of `scale` and the expected value; infinities must be equal."""
    np.testing.assert_allclose(np.asarray(value), expected, rtol=tolerance, atol=tolerance * scale)
