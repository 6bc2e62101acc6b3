"""Confidence intervals. Nothing large is imported, so that tables are made in no time."""

from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n songs."""
    p = round(share * n) / n
    centre = p + Z**2 / (2 * n)
    half = Z * (p * (1 - p) / n + Z**2 / (4 * n**2)) ** 0.5
    low, high = ((centre + side) / (1 + Z**2 / n) for side in (-half, half))
    return (low if p > 0 else 0.0, high if p < 1 else 1.0)  # rounding would leave 1e-18
