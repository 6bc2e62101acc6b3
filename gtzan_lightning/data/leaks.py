"""What a part shares with the training part: clips of one song, recordings, artists."""

from collections.abc import Mapping
from dataclasses import dataclass

from gtzan_lightning.data.artists import credits, recordings


@dataclass(frozen=True)
class Leak:
    """How many songs of a part have something of theirs in training too.

    Attributes:
        part: ``valid`` or ``test``.
        songs: of the part, among those that are here.
        same_song: of which other clips are trained on.
        recordings: that are in training under another id.
        artists: whose artist is in training.
        named: whose artist is known. The others' count as artists of their own, so that
            ``artists`` is a lower bound.
    """

    part: str
    songs: int
    same_song: int
    recordings: int
    artists: int
    named: int

    @property
    def share(self) -> float | None:
        """Share of the songs whose artist is in training too; None where no artist is known."""
        return self.artists / self.songs if self.named else None

    @property
    def sentence(self) -> str:
        """Such as ``artists on both sides: 76 % of test songs, recordings: 5``."""
        if not self.songs:
            return ""
        if self.share is None:
            words = f"artists unknown: they may be on both sides of {self.songs} {self.part} songs"
        elif not self.artists + self.recordings + self.same_song:
            return f"no artist and no recording of the {self.part} songs is in training"
        else:
            percent = 100 * self.share
            shown = f"{percent:.0f}" if percent >= 1 or not percent else f"{percent:.1f}"
            words = f"artists on both sides: {shown} % of {self.part} songs"
        if self.same_song:
            words += f", songs: {self.same_song} of {self.songs}"
        return words + (f", recordings: {self.recordings}" if self.recordings else "")


def leaks(
    songs: Mapping[str, set[str]], is_gtzan: bool, artist_of: Mapping[str, str] | None = None
) -> dict[str, Leak]:
    """The leaks of the valid and of the test part.

    Args:
        songs: part -> ids of the songs that have a clip in it.
        is_gtzan: artists are Sturm's index's, recordings the 53 known pairs.
        artist_of: else the artist of each song, "" where unknown.
    """
    artist = credits() if is_gtzan else {i: a for i, a in (artist_of or {}).items() if a}
    same = recordings() if is_gtzan else {}

    def leak(part: str) -> Leak:
        here, train = songs[part], songs["train"]
        heard = {artist.get(song) for song in train}
        known = {same.get(song, song): song for song in train}
        twins = [s for s in here if known.get(same.get(s, s), s) != s]
        artists = sum(song in artist and artist[song] in heard for song in here)
        named = sum(song in artist for song in here)
        return Leak(part, len(here), len(here & train), len(twins), artists, named)

    return {part: leak(part) for part in ("valid", "test")}
