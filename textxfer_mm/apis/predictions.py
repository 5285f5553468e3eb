"""What a model says of a video or an image. Light: no torch here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VideoPrediction:
    """What the model says about one video or image.

    Attributes:
        video: The path of the file, or ``'array 0'`` and so on.
        class_names: K names.
        scores: K scores in the order of the names; they sum to one unless the model is multi-label.
    """

    video: str
    class_names: tuple[str, ...]
    scores: tuple[float, ...]

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The k best names with their scores, best first."""
        order = sorted(range(len(self.scores)), key=lambda i: -self.scores[i])
        return [(self.class_names[i], self.scores[i]) for i in order[:k]]


@dataclass(frozen=True)
class VideoFailure:
    """A video or an image that could not be decoded, and why."""

    video: str
    reason: str


#: What is said of one video or image.
Result = VideoPrediction | VideoFailure
