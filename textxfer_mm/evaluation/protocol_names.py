"""The names of the protocols: nothing heavy is imported here, so that a command can check them at once."""

from collections.abc import Sequence

from textxfer_mm.errors import UserError, nearest

#: The draws of the half-class protocol, seeds 0 to 9.
HALF_CLASS_DRAWS = 10
#: What is asked for on the command line, and what it is called in a report.
PROTOCOLS = {
    'full': 'full-class',
    'half': f'half-class, {HALF_CLASS_DRAWS} draws',
    'mean-class': 'mean class accuracy',
    'map': 'mAP',
    'map-11': '11-point mAP',
    'splits': 'mean over lists',
    'base-to-novel': 'base to novel',
    'generalized': 'base to novel, all names competing',
}
#: Protocols of two lists: one of the model's own classes and one of others.
OF_TWO = ('base-to-novel', 'generalized')


def check_protocols(given: Sequence[str]) -> list[str]:
    """Return the protocols that are asked for, once each.

    Raises:
        UserError: One is unknown.
    """
    for protocol in given:
        if protocol not in PROTOCOLS:
            raise UserError(f'Unknown protocol {protocol!r}.{nearest(protocol, PROTOCOLS)}')
    return list(dict.fromkeys(given))
