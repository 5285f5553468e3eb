"""Encoded videos, one file a kind for the whole session."""

import pytest
from video_kinds import KINDS, encode, numbered_frames

COUNT = 60


@pytest.fixture(scope='session')
def video_of(tmp_path_factory):
    """The file of a kind: 60 frames that tell their number."""
    folder, made = tmp_path_factory.mktemp('kinds'), {}

    def file(kind):
        if kind not in made:
            made[kind] = encode(folder / f'{kind}{KINDS[kind].suffix}', kind, numbered_frames(COUNT))
        return made[kind]

    return file
