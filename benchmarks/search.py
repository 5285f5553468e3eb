"""What a search among many moments costs, against one plain product of the matrix and the query.

An index of random moments is written as ``textxfer search`` writes it, opened as it opens it, and asked with random
queries, in wall seconds (medians over the rounds, and the fastest):

* open: reading what the index says of its files and moments; the vectors are mapped and not read yet;
* first: the first query, which reads the vectors, from the disk or from what the system still has of them in memory;
* search: every query after it: all cosines, the best moments, one stretch of a video once, and how all scores lie;
* numpy: ``vectors @ query`` and ``argpartition`` on one array in memory;
* torch: ``vectors @ query`` and ``topk`` likewise;
* reading: the sum of all vectors, which is what memory alone allows.

The scores of the search must be those of float64 to 1e-6, and the best moments the same. Memory is what the process
holds of its own (``RssAnon``), and what is mapped of the files (``RssFile``). Results with their machine are in
docs/video_search.md.

    python benchmarks/search.py [--moments 1000000] [--dims 512] [--rounds 5] [--threads 2] [--folder FOLDER]
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from textxfer_mm.apis.search.contents import Contents
from textxfer_mm.apis.search.ranking import best_moments, cosines, spread_of
from textxfer_mm.apis.search.shards import IndexedFile, Shard
from textxfer_mm.apis.search.store import MOST_MOMENTS, IndexFolder, IndexRecord

#: Moments of a file: ten minutes, one a second.
OF_A_FILE = 600
TOPK = 10


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('--moments', type=int, default=1_000_000, help='how many')
    parser.add_argument('--dims', type=int, default=512, help='how wide they are')
    parser.add_argument('--rounds', type=int, default=5, help='how many queries are timed')
    parser.add_argument('--threads', type=int, default=2, help='of torch and of numpy, where OMP_NUM_THREADS allows')
    parser.add_argument('--folder', type=Path, help='where the index is written; by default a temporary folder')
    parser.add_argument('--json', type=Path, help='write the results to this file')
    return parser.parse_args()


def write_index(folder: Path, moments: int, dims: int) -> None:
    """Write an index of random moments."""
    index, generator = IndexFolder(folder), torch.Generator().manual_seed(0)
    index.begin(IndexRecord('random', 'random', (), 'random moments'))
    for first in range(0, moments, MOST_MOMENTS):
        count = min(MOST_MOMENTS, moments - first)
        vectors = functional.normalize(torch.randn(count, dims, generator=generator), dim=1)
        starts = np.arange(count) % OF_A_FILE * 1.0
        sizes = [min(OF_A_FILE, count - begin) for begin in range(0, count, OF_A_FILE)]
        names = [f'{first}-{number}.mp4' for number in range(len(sizes))]
        files = tuple(IndexedFile(f'/{n}', n, 1, 1, n, size) for n, size in zip(names, sizes, strict=True))
        index.add(Shard(files, vectors, starts, starts + 2))


def memory() -> dict[str, float]:
    """GiB that this process holds of its own, and of files that are mapped."""
    lines = Path('/proc/self/status').read_text().splitlines() if Path('/proc/self/status').is_file() else []
    found = dict(line.split(':', 1) for line in lines)
    return {key: int(found[key].split()[0]) / 2**20 for key in ('RssAnon', 'RssFile') if key in found}


def seconds_of(call: Callable[[], Any]) -> tuple[float, Any]:
    """Wall seconds of one call, and what it gave."""
    begun = time.perf_counter()
    result = call()
    return time.perf_counter() - begun, result


def search(contents: Contents, query: Tensor) -> tuple[list[int], np.ndarray]:
    """What ``VideoSearch`` does of a query that is a vector."""
    scores = cosines(contents.vectors, query)
    spread_of(scores, contents.owner)
    return best_moments(scores, contents.owner, contents.starts, contents.ends, topk=TOPK, per_file=3), scores


def measure(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each way, and memory."""
    generator = torch.Generator().manual_seed(1)
    queries = functional.normalize(torch.randn(args.rounds + 1, args.dims, generator=generator), dim=1)
    before = memory()
    opening, contents = seconds_of(IndexFolder(folder).contents)
    opened = memory()
    first, (rows, scores) = seconds_of(lambda: search(contents, queries[0]))
    after = memory()
    exact = torch.cat([part.double() @ queries[0].double() for part in contents.vectors]).numpy()
    np.testing.assert_allclose(scores, exact, atol=1e-6)
    places = (contents.owner, contents.starts, contents.ends)
    assert rows == best_moments(exact, *places, topk=TOPK, per_file=3)
    whole = torch.cat(contents.vectors)
    array = whole.numpy()
    ways: dict[str, Callable[[Tensor], Any]] = {
        'search': lambda query: search(contents, query),
        'numpy': lambda query: np.argpartition(array @ query.numpy(), -TOPK)[-TOPK:],
        'torch': lambda query: (whole @ query).topk(TOPK),
        'reading': lambda query: whole.sum(),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for query in queries[1:]:  # in turns, as other work on the machine comes and goes
        for name, call in ways.items():
            times[name].append(seconds_of(lambda call=call, query=query: call(query))[0])
    spread = {name: [statistics.median(all_of), min(all_of)] for name, all_of in times.items()}
    held = dict(before=before, opened=opened, after=after)
    about = dict(moments=args.moments, dims=args.dims, threads=torch.get_num_threads(), load=os.getloadavg()[0])
    return dict(about, open=opening, first=first, seconds=spread, memory=held)


def main() -> None:
    """Measure and print a line for each way."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory(dir=args.folder) as place:
        write_index(Path(place), args.moments, args.dims)
        found = measure(Path(place), args)
    print(f'{args.moments:,} moments x {args.dims}, {found["threads"]} threads, load average {found["load"]:.1f}')
    print(f'open {found["open"]:.3f} s, first query {found["first"]:.3f} s')
    for name, (median, fastest) in found['seconds'].items():
        share = median / found['seconds']['numpy'][0]
        print(f'{name:8} median {median:7.3f} s, fastest {fastest:7.3f} s, {share:5.2f} of numpy')
    for when, held in found['memory'].items():
        print(f'memory {when:7} ' + ', '.join(f'{key} {value:.2f} GiB' for key, value in held.items()))
    if args.json:
        args.json.write_text(json.dumps(found, indent=2))


if __name__ == '__main__':
    main()
