"""What a page is made of: the work that gives its numbers, and its tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness.claims import Claim, Falsifier, Measure, Results
from harness.runs import Run
from harness.statistics import CombinedSpread, Rule

Say = Callable[[str], None]


class Work(Protocol):
    """What gives the numbers of a page; :class:`harness.training.Experiment` trains for them.

    Attributes:
        scale: A dataclass with how large the runs are.
    """

    scale: Any

    def rows(self) -> Sequence[str]:
        """The names of all rows."""

    def runs(self, seeds: Sequence[int]) -> Sequence[Run]:
        """All runs of these seeds, in the order in which they are to be done."""

    def run(self, row: str, seed: int) -> Run:
        """The run of a row with a seed."""

    def prepare(self, runs: Sequence[Run], folder: Path, say: Say) -> None:
        """Make what these runs share, unless it is there; done before them, by one process."""

    def do(self, run: Run, folder: Path) -> Mapping[str, Any]:
        """Do a run and return what it measured, as plain values."""


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: Name of the row among the page's work; None is one that is not run here.
        title: What it is.
        paper: The paper's number; empty where it has none.
    """

    name: str | None
    title: str
    paper: str = ''


@dataclass(frozen=True)
class Table:
    """One table of a page.

    Attributes:
        title: Heading.
        note: What is compared, and what differs from the paper.
        rows: Its lines.
        claims: What is to be read off it.
        columns: The measures it shows; empty are those of the page.
        extra: Heading of a further column, whose cells do not come from runs.
        image: File of the plot below it.
        plot: Draws the plot; returns whether there was anything to draw.
        caveat: What must be said of these results besides the note; empty where there is nothing.
        group: Under which circumstances it was measured, such as a regime; the summary is divided by it.
    """

    title: str
    note: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    columns: tuple[str, ...] = ()
    extra: str = ''
    image: str = ''
    plot: Callable[[Path, Results], bool] | None = None
    caveat: Callable[[Results], str] = lambda results: ''
    group: str = ''


@dataclass(frozen=True)
class Given:
    """A folder that only whoever runs the command can have, and without which some rows are not run.

    Attributes:
        option: The option of the command that names it, without dashes.
        help: What it holds.
        rows: The rows that need it.
        take: Called with it, the folder of the page's data, the scale and where to say what is done, before anything is
            prepared: makes of it what the rows need, unless that is there.
    """

    option: str
    help: str
    rows: tuple[str, ...]
    take: Callable[[Path, Path, Any, Say], None]


@dataclass(frozen=True)
class Page:
    """A page of results.

    Attributes:
        name: Name of its Markdown file, of its file of results and of its log.
        work: What gives its numbers.
        measures: What is measured, by name.
        tables: Its tables.
        columns: The measures that a table shows, unless it says otherwise, and that are told of each finished run.
        introduction: The lines before the summary, made from the results and the scale.
        fine_print: The lines at the end, in the same way.
        rule: When a difference counts as resolved.
        seeds: The seeds that are reported.
        extra: The cells of the extra columns, by heading and row.
        falsifiers: What would falsify the finding that it tests, answered before everything else.
        derive: Further rows, made from the results of those that were run.
        folder: Name of its folder for data, towers and logs, where it is that of another page; empty is its own.
        given: A folder that some rows need and that does not come with the project.
    """

    name: str
    work: Work
    measures: Mapping[str, Measure]
    tables: tuple[Table, ...]
    columns: tuple[str, ...]
    introduction: Callable[[Results, Any], Sequence[str]]
    fine_print: Callable[[Results, Any], Sequence[str]]
    rule: Rule = field(default_factory=CombinedSpread)
    seeds: tuple[int, ...] = (0, 1, 2)
    extra: Callable[[], Mapping[str, Mapping[str, str]]] = dict
    falsifiers: tuple[Falsifier, ...] = ()
    derive: Callable[[Results], Results] = lambda results: {}
    folder: str = ''
    given: Given | None = None

    def measure_of(self, claim: Claim) -> Measure:
        """What a claim compares."""
        return self.measures[claim.measure or self.columns[0]]
