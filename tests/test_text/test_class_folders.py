"""Whether names follow the order of the labels, as the folders of the videos tell."""

import pytest

from textxfer_mm.errors import UserError
from textxfer_mm.text.class_folders import ClassFolders, require_order_of_folders
from textxfer_mm.text.class_names import load_class_names

NAMES = ('run', 'open door', 'sit')


def videos(*folders, labels=None):
    return [(f'{folder}/{n}.mp4', [label]) for n, (folder, label) in enumerate(zip(folders, labels, strict=True))]


def test_names_are_found_as_they_are_written():
    found = ClassFolders(NAMES)
    paths = {'a/OpenDoor/1.mp4': (1,), 'open_door\\1.mp4': (1,), 'sit/run/x': (2, 0), 'run.mp4': (), 'x/y': ()}
    assert {path: found.labels_of(path) for path in paths} == paths


@pytest.mark.parametrize(
    ('folders', 'labels'),
    [
        (('run', 'OpenDoor', 'sit'), (0, 1, 2)),
        (('run', 'run', 'run', 'sit'), (0, 0, 2, 2)),  # a label of two kinds, as many of each
        (('run', 'run', 'run'), (0, 1, 2)),  # one folder for all videos
        (('run/run', 'run/standing', 'run/sit'), (0, 1, 2)),  # of which the classes are parts
        (('hall', 'hall', 'yard'), (0, 1, 2)),
        (('sit/sit', 'run/sit'), (0, 2)),
        ((), ()),
    ],
)
def test_what_agrees(folders, labels):
    require_order_of_folders(videos(*folders, labels=labels), NAMES)


def test_another_order():
    listed = videos('run', 'sit', 'open_door', 'open_door', 'hall', labels=(0, 1, 2, 2, 2))
    with pytest.raises(
        UserError,
        match=r"^1 of 1 videos of label 1 lie in a folder of the name 'sit', but label 1 is called 'open door': the "
        'class names are in another order',
    ):
        require_order_of_folders(listed, NAMES)
    names = list(load_class_names('ucf101'))
    right = videos(*names, labels=range(101))
    require_order_of_folders(right, names)
    for other in (names[1:] + names[:1], [*names[:50], 'Waving', *names[50:]], names[::-1]):
        with pytest.raises(UserError, match='are in another order than the labels'):
            require_order_of_folders(right, other)


def test_several_labels_a_video():
    require_order_of_folders([('run/1.mp4', [0, 2]), ('sit/2.mp4', [2, 1])], NAMES)
    with pytest.raises(UserError, match="label 0 lie in a folder of the name 'sit'"):
        require_order_of_folders([('sit/1.mp4', [0, 1]), ('run/2.mp4', [2])], NAMES)
