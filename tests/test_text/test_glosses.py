"""Tables of glosses: whose they are, how they are read, and what stands behind a prompt."""

import json
import logging

import pytest
from tiny import TINY_VIT

from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.glosses.files import gloss_csv, gloss_json, read_gloss_table, read_overrides
from textxfer_mm.text.glosses.prompts import class_prompts, senses_of, shortened
from textxfer_mm.text.glosses.table import GlossEntry, GlossTable, find_glosses

NAMES = ('waving', 'playing guitar', 'crane')
GLOSSES = {'waving': 'move the hand', 'playing guitar': ['make music', 'strum'], 'crane': 'a large wading bird'}


class TestFinding:
    def test_by_name_in_any_order_and_spelling(self):
        found = find_glosses(GLOSSES, ['PlayingGuitar', 'Crane', 'waving '.strip()])
        assert found == (('make music', 'strum'), ('a large wading bird',), ('move the hand',))

    def test_none_is_none(self):
        assert find_glosses(None, NAMES) == ()

    def test_a_class_without_a_gloss_keeps_its_bare_name(self, caplog):
        with caplog.at_level(logging.WARNING):
            found = find_glosses({'waving': 'move the hand', 'crane': ''}, NAMES)
        assert found == (('move the hand',), (), ())
        assert '2 of 3 classes have no gloss in the given table and keep their bare name: playing guitar, crane' in (
            caplog.text
        )

    def test_a_gloss_that_is_required_and_missing(self):
        with pytest.raises(UserError, match=r'1 of 3 classes have no gloss in the given table, and one is required: c'):
            find_glosses({**GLOSSES, 'crane': None}, NAMES, required=True)
        with pytest.raises(UserError, match='require_glosses=True needs glosses'):
            find_glosses(None, NAMES, required=True)

    def test_glosses_of_other_classes_are_named(self):
        with pytest.raises(UserError, match=r'glosses of kinetics400 are of other classes \(abseiling.*none of the 2'):
            find_glosses('kinetics400', ['Brushed', 'Unbrushed'])

    def test_a_list_is_one_gloss_a_class(self):
        assert find_glosses(['a', ['b', 'c'], None], NAMES) == (('a',), ('b', 'c'), ())
        with pytest.raises(UserError, match='2 glosses were given for 3 classes'):
            find_glosses(['a', 'b'], NAMES)

    def test_classes_of_one_name(self):
        table = GlossTable((GlossEntry('crane', ('a bird',)), GlossEntry('crane', ('a machine',))), 'T')
        assert table.find(['crane', 'crane']) == (('a bird',), ('a machine',))
        assert table.find(['Crane', 'dog', 'crane']) == (('a bird',), (), ('a machine',))
        with pytest.raises(UserError, match=r"T has 2 classes of the name 'crane' with different glosses.*has 1"):
            table.find(['crane', 'dog'])

    def test_names_that_differ_in_marks_alone_keep_their_own(self):
        assert find_glosses({'C++': 'a', 'C#': 'b'}, ['C#', 'C++']) == (('b',), ('a',))

    @pytest.mark.parametrize(
        ('source', 'message'),
        [
            ('kinetics40', r"Unknown glosses 'kinetics40'.*Did you mean: kinetics400"),
            (5, 'not a int'),
            ({'waving': 5}, r"The gloss of 'waving' is a text or a list of texts, not 5 \(int\)"),
            ({'waving': ['a', {}]}, r"The gloss of 'waving' is a text or a list of texts, not \{\}"),
        ],
    )
    def test_what_glosses_cannot_be(self, source, message):
        with pytest.raises(UserError, match=message):
            find_glosses(source, NAMES)

    def test_a_file_that_is_not_here_may_be_known_to_a_checkpoint(self):
        with pytest.raises(NotAtHandError, match=r'File of glosses not found: none/glosses\.csv'):
            find_glosses('none/glosses.csv', NAMES)


class TestFiles:
    TABLE = GlossTable(
        (
            GlossEntry('crane', ('a bird; "tall", grey', 'its flesh'), ('n02012849', '')),
            GlossEntry('bare', ()),
            GlossEntry('crane', ('a machine',), ('n03126707',)),
        ),
        'mine',
    )

    @pytest.mark.parametrize(('write', 'name'), [(gloss_csv, 'g.csv'), (gloss_json, 'g.json')])
    def test_what_is_written_is_read(self, write, name, tmp_path):
        (tmp_path / name).write_text(write(self.TABLE))
        assert read_gloss_table(tmp_path / name, 'mine') == self.TABLE

    def test_the_forms_that_users_write(self, tmp_path):
        forms = {
            'a.csv': 'name,gloss\nwaving,move the hand\ncrane,a bird\ncrane,a machine\n',
            'b.tsv': 'gloss\tname\nmove  the hand\twaving\na bird\tcrane\na machine\tcrane\n',
            'c.csv': 'label,name,gloss\n2,crane,a bird\n1,waving,move the hand\n\n2,crane,a machine\n',
            'd.json': json.dumps({'waving': 'move the hand', 'crane': ['a bird', 'a machine']}),
            'e.json': json.dumps(
                [dict(name='waving', gloss='move the hand'), dict(name='crane', gloss=['a bird', 'a machine'])]
            ),
        }
        for name, text in forms.items():
            (tmp_path / name).write_text(text)
            found = read_gloss_table(tmp_path / name).find(['crane', 'waving'])
            assert found == (('a bird', 'a machine'), ('move the hand',)), name

    @pytest.mark.parametrize(
        ('name', 'text', 'message'),
        [
            ('a.csv', 'name,text\nwaving,x\n', r'has the columns name, text: give a table with the columns `name` and'),
            ('a.csv', '', 'has the columns none'),
            ('a.csv', 'name,gloss\nwaving,move, the hand\n', r'row 2 has 3 columns, the header 2.*double quotes'),
            ('a.csv', 'name,gloss\nwaving,"move\n', 'is no table of glosses'),
            ('a.csv', 'name,gloss\n,move\n', r'row 2 \(,move\) names no class'),
            ('a.csv', 'name,gloss\n', 'holds no glosses'),
            ('a.csv', 'label,name,gloss\nx,waving,move\n', "row 2 has the label 'x', which is no whole number"),
            ('a.csv', 'label,name,gloss\n0,waving,move\n,b,c\n', 'some rows have a label and others none'),
            ('a.csv', 'label,name,gloss\n0,waving,move\n2,b,c\n', r'the labels of 2 classes must be 0\.\.1 or 1\.\.2'),
            ('a.csv', 'label,name,gloss\n0,waving,move\n0,b,c\n', "label 0 is 'waving' in one row, 'b' in another"),
            ('a.json', '{"waving": ', 'is not valid JSON'),
            ('a.json', '5', r'expected \{name: gloss or \[glosses\]\}'),
            ('a.json', '["x"]', r'entry 0 is "x"'),
            ('a.json', '[{"name": "x"}]', r'entry 0 is \{"name": "x"\}'),
            ('a.json', '{"waving": 5}', r"a\.json: The gloss of 'waving' is a text"),
            (
                'a.json',
                '{"waving": "x", "waving": "y"}',
                r"not valid JSON \(the key 'waving' occurs 2 times in one obj",
            ),
            ('a.json', '{" ": "x"}', r'expected \{name: gloss .*entry 0 is'),
            (
                'a.json',
                '[{"name": "a", "gloss": ["b", "c"], "sense": "d"}]',
                "'a' has 2 glosses and 1 senses: give one",
            ),
            ('a.csv', 'name,gloss,Gloss\na,b,c\n', 'has the columns name, gloss, gloss, `gloss` more than once'),
            ('a.json', '{}', 'holds no glosses'),
            ('a.txt', 'x', r'is no file of glosses: these end in \.csv, \.tsv or \.json'),
        ],
    )
    def test_malformed_files(self, name, text, message, tmp_path):
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match=message) as error:
            read_gloss_table(tmp_path / name)
        assert '\n' not in str(error.value)
        assert name in str(error.value)

    def test_overrides_are_senses_or_own_words(self, tmp_path):
        (tmp_path / 'o.csv').write_text('name,sense,gloss\na,n01440764,\na,n02012849,\nb,,own words\nc,,\n')
        want = {'a': ('n01440764', 'n02012849'), 'b': ('own words',), 'c': ()}
        assert read_overrides(tmp_path / 'o.csv') == want


class Words:
    """A reader of so many words."""

    def __init__(self, context_length):
        self.context_length = context_length

    def count_tokens(self, texts):
        return [len(text.split()) for text in texts]


class TestPrompts:
    def test_template_name_gloss(self):
        glosses = find_glosses(GLOSSES | {'crane': None}, NAMES)
        assert class_prompts(('a video of {}.', '{}'), NAMES, glosses) == [
            [
                'a video of waving. move the hand',
                'a video of playing guitar. make music',
                'a video of playing guitar. strum',
                'a video of crane.',
            ],
            ['waving move the hand', 'playing guitar make music', 'playing guitar strum', 'crane'],
        ]
        assert senses_of(glosses) == [0, 1, 1, 2]

    def test_without_glosses_nothing_changes(self):
        assert class_prompts(('a {}', '{}'), ('b', 'c')) == [['a b', 'a c'], ['b', 'c']]

    @pytest.mark.parametrize(
        ('limit', 'want'),
        [
            (9, 'a crane. one two; three four; five six seven'),
            (8, 'a crane. one two; three four'),
            (6, 'a crane. one two; three four'),
            (5, 'a crane. one two'),
            (3, 'a crane. one'),
            (2, 'a crane.'),
            (1, 'a crane.'),
        ],
    )
    def test_the_gloss_alone_is_shortened(self, limit, want, caplog):
        with caplog.at_level(logging.WARNING):
            got = class_prompts(('a {}.',), ('crane',), (('one two; three four; five six seven',),), Words(limit))
        assert got == [[want]]
        told = f"1 of 1 glosses are shortened, since the text encoder reads {limit} tokens: '{want}' (9 tokens)."
        assert (told in caplog.text) == (limit < 9)

    def test_one_line_tells_of_all_templates(self, caplog):
        glosses = (('one two three four',), ('one',), ())
        with caplog.at_level(logging.WARNING):
            got = class_prompts(('a {}.', 'one {}.', '{}'), ('crane', 'dog', 'cat'), glosses, Words(4))
        assert got == [
            ['a crane. one two', 'a dog. one', 'a cat.'],
            ['one crane. one two', 'one dog. one', 'one cat.'],
            ['crane one two three', 'dog one', 'cat'],
        ]
        (line,) = (record.getMessage() for record in caplog.records)
        assert line.startswith('1 of 2 glosses are shortened, since the text encoder reads 4 tokens: ')

    def test_a_cut_leaves_no_mark_at_the_end(self):
        assert shortened('a', 'one, two (three four)', Words(3)) == 'a one, two'
        assert shortened('a', 'one, two (three four)', Words(2)) == 'a one'

    def test_what_clip_reads(self):
        encoder = CLIPTextEncoder(TINY_VIT)
        gloss = 'a long-legged bird ' * 30
        (text,), (whole,) = class_prompts(('a {}.', '{}'), ('crane',), ((gloss.strip(),),), encoder)
        for prompt in (text, whole):
            assert encoder.count_tokens([prompt])[0] <= 77
            assert encoder.count_tokens([f'{prompt} long-legged'])[0] > 77
        encoder.encode([text, whole])

    def test_an_encoder_that_cannot_count_gets_all(self):
        long = 'word ' * 200
        assert class_prompts(('{}',), ('a',), ((long,),), object()) == [[f'a {long}']]
