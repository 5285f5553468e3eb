"""The twelve sets that Kornblith et al. (2019) compare on, for zero-shot recognition (iCLIP, Table 3).

`zero_shot_sets` has a dataset of MMPretrain, a list of class names, OpenAI's templates and a measure for each; the
template of VOC2007 is the one taken where none is named. Folders are as MMPretrain's classes describe them. Birdsnap,
whose class names are in no package that was looked through, is a folder of images for each class,
`data/birdsnap/test/CLASS/*.jpg`, with the common names of its own list of species in `data/birdsnap/classes.txt`, one a
line in the order of the folders; leave it out with `--skip Birdsnap`.
"""

zero_shot_sets = dict(
    Food101=dict(
        dataset=dict(type='Food101', data_root='data/food-101', split='test'),
        class_names='food101',
        templates='clip_food101',
    ),
    CIFAR10=dict(
        dataset=dict(type='CIFAR10', data_root='data/cifar10', split='test', download=False),
        class_names='cifar10',
        templates='clip_cifar',
    ),
    CIFAR100=dict(
        dataset=dict(type='CIFAR100', data_root='data/cifar100', split='test', download=False),
        class_names='cifar100',
        templates='clip_cifar',
    ),
    Birdsnap=dict(
        dataset=dict(type='CustomDataset', data_root='data/birdsnap', data_prefix='test'),
        class_names='data/birdsnap/classes.txt',
        templates='clip_birdsnap',
    ),
    SUN397=dict(
        dataset=dict(type='SUN397', data_root='data/sun397', split='test'),
        class_names='sun397',
        templates='clip_sun397',
    ),
    StanfordCars=dict(
        dataset=dict(type='StanfordCars', data_root='data/stanford-cars', split='test'),
        class_names='stanford_cars',
        templates='clip_stanford_cars',
    ),
    FGVCAircraft=dict(
        dataset=dict(type='FGVCAircraft', data_root='data/fgvc-aircraft-2013b', split='test'),
        class_names='fgvc_aircraft',
        templates='clip_fgvc_aircraft',
        measure='mean_class',
    ),
    VOC2007=dict(
        dataset=dict(type='VOC', data_root='data/VOCdevkit/VOC2007', split='test'),
        class_names='voc2007',
        measure='map_11',
    ),
    DTD=dict(
        dataset=dict(type='DTD', data_root='data/dtd', split='test'),
        class_names='dtd',
        templates='clip_dtd',
    ),
    OxfordPets=dict(
        dataset=dict(type='OxfordIIITPet', data_root='data/oxford-iiit-pet', split='test'),
        class_names='oxford_pets',
        templates='clip_oxford_pets',
        measure='mean_class',
    ),
    Caltech101=dict(
        dataset=dict(type='Caltech101', data_root='data/caltech-101', split='test'),
        class_names='caltech101',
        templates='clip_caltech101',
        measure='mean_class',
    ),
    Flowers102=dict(
        dataset=dict(type='Flowers102', data_root='data/flowers102', split='test'),
        class_names='flowers102',
        templates='clip_flowers102',
        measure='mean_class',
    ),
)
