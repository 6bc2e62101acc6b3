"""Confidence intervals. Nothing large is imported, so that tables are made in no time."""

from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n songs; a mean over seeds need be no whole songs."""
    p = share
    centre = p + Z**2 / (2 * n)
    half = Z * (p * (1 - p) / n + Z**2 / (4 * n**2)) ** 0.5
    low, high = ((centre + side) / (1 + Z**2 / n) for side in (-half, half))
    # rounding would leave 1e-18
    return (low if p * n > 1e-6 else 0.0, high if (1 - p) * n > 1e-6 else 1.0)
