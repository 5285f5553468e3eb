"""What a table is made of: rows, and the findings that the paper reads off them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        setting: Name of the setting; None is a row that is not trained here.
        title: What it is.
        paper: The paper's number; empty where it has none.
    """

    setting: str | None
    title: str
    paper: str = ''


@dataclass(frozen=True)
class Claim:
    """Something the paper finds: that one side is better than the other, or that they are alike.

    Attributes:
        text: The finding in words.
        paper: The paper's numbers; empty where it has none.
        left: Settings whose values are added; a leading ``-`` subtracts.
        right: The other side, in the same way.
        measure: ``seen``, ``zero_shot``, ``loss`` or ``step_cpu_seconds``.
        alike: Whether the finding is that there is hardly any difference.
        if_opposite: What may explain the opposite, shown only where the opposite was seen.
    """

    text: str
    paper: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    measure: str = 'seen'
    alike: bool = False
    if_opposite: str = ''

    @property
    def lower_is_better(self) -> bool:
        """Whether the left side is to be below the right one."""
        return self.measure in ('loss', 'step_cpu_seconds')


@dataclass(frozen=True)
class Table:
    """One table of the page.

    Attributes:
        title: Heading.
        note: What is compared, and what differs from the paper.
        rows: Its lines.
        claims: What the paper reads off it.
        seconds: Whether it shows the time of a step.
        cosines: Whether it shows how alike the rows of the frozen classifiers are.
        image: A plot below it.
    """

    title: str
    note: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    seconds: bool = False
    cosines: bool = False
    image: str = ''
