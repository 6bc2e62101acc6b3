"""Comparisons of systems as a reader wants them; ``significance`` makes them."""

from collections.abc import Sequence

from gtzan_lightning.results.significance import Pair


def texts(pairs: Sequence[Pair]) -> list[dict[str, str]]:
    """Title -> text of each pair's cells."""
    return [
        {
            "system": pair.first,
            "other": pair.second,
            "songs": str(pair.songs),
            "artists": "unknown" if pair.artists is None else str(pair.artists),
            "difference": f"{pair.difference:+.3f}",
            "interval": f"{pair.low:+.3f} to {pair.high:+.3f} ({pair.level:.3g} %)",
            "p, sign flips": pair.p_text,
            "p, McNemar": pair.mcnemar_text,
            "verdict": "apart" if pair.apart else f"not apart (visible from {pair.visible:.3f})",
        }
        for pair in pairs
    ]
