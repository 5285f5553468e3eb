"""A dictionary of a few words in WordNet's file format, with real offsets."""

from collections import defaultdict

KINDS = dict(n='noun', v='verb', a='adj', r='adv')
#: Part of speech, words, and gloss with examples; the senses of a word in their order.
SENSES = (
    ('v', ('play',), 'participate in games or sport; "We played hockey all afternoon"; "play cards"'),
    ('v', ('play',), 'play on an instrument; "The band played all night long"; "play the guitar"'),
    ('v', ('pick_up', 'lift'), 'take and lift upward; "pick up a box"'),
    ('v', ('run',), 'move fast by using one\'s feet; "the dog runs"'),
    ('v', ('draw', 'pull'), 'cause to move by pulling; "draw a wagon"'),
    ('v', ('draw',), 'represent by making a drawing'),
    ('v', ('wave',), 'signal with the hands or nod'),
    ('v', ('dance',), 'move in a graceful and rhythmical way'),
    ('v', ('fight',), 'be engaged in a fight; carry on a fight'),
    ('n', ('guitar',), 'a stringed instrument usually having six strings; played by strumming or plucking'),
    ('n', ('tench', 'Tinca_tinca'), 'freshwater dace-like game fish of Europe'),
    ('n', ('crane',), 'lifts and moves heavy objects; "they used a crane"'),
    ('n', ('crane',), 'large long-necked wading bird'),
    ('n', ('gum', 'gum_tree'), 'a tree that yields gum'),
    ('n', ('gum', 'genus_Gum'), 'a tree that yields gum'),
    ('n', ('box',), 'a (usually rectangular) container; may have a lid'),
    ('n', ('wave',), 'one of a series of ridges on the surface of a liquid'),
    ('n', ('draw',), 'a gully that is shallower than a ravine'),
    ('n', ('jumping',), 'the act of jumping'),
    ('n', ('foot',), 'the part of the leg below the ankle'),
    ('n', ('pull-up',), 'an arm exercise on a horizontal bar'),
    ('n', ('ice_cream',), 'frozen dessert containing cream'),
    ('a', ('bright(p)',), 'emitting or reflecting light'),
)
EXCEPTIONS = dict(n=('feet foot',), v=('drew draw', 'ran run'), a=(), r=())


def write_wordnet(folder):
    """Write the files; return ids by first word and number, e.g. ``{'crane.n.02': 'n00000123'}``."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = {}
    for letter, kind in KINDS.items():
        data, index = '  1 This is a licence.\n', defaultdict(list)
        for part, words, gloss in SENSES:
            if part != letter:
                continue
            offset = f'{len(data.encode()):08}'
            pairs = ' '.join(f'{word} 0' for word in words)
            data += f'{offset} 03 {letter} {len(words):02x} {pairs} 000 | {gloss}  \n'
            for word in words:
                word = word.removesuffix('(p)')
                index[word.lower()].append(offset)
                ids[f'{word}.{letter}.{len(index[word.lower()]):02}'] = letter + offset
        lines = [f'{word} {letter} {len(at)} 0 {len(at)} 0 {" ".join(at)}  ' for word, at in sorted(index.items())]
        (folder / f'data.{kind}').write_text(data)
        (folder / f'index.{kind}').write_text('\n'.join(['  1 This is a licence.', *lines]) + '\n')
        (folder / f'{kind}.exc').write_text(''.join(f'{line}\n' for line in EXCEPTIONS[letter]))
    return ids
