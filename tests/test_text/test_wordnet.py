"""The reader of WordNet's files, how names are read with it, and which senses are chosen."""

from unittest.mock import patch

import pytest
import torch
from tiny_wordnet import write_wordnet

from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.text.glosses.choice import choose_glosses, table_of
from textxfer_mm.text.glosses.readings import read
from textxfer_mm.text.glosses.report import coverage_lines, report_markdown, report_rows
from textxfer_mm.text.glosses.wordnet import WordNet


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('wordnet')


@pytest.fixture(scope='module')
def ids(folder):
    return write_wordnet(folder)


@pytest.fixture(scope='module')
def wordnet(folder, ids):
    return WordNet(folder)


def encode(texts):
    """Sentences as the counts of the letters of their words' beginnings: what shares words is near."""
    words = sorted({word.strip('.,;:"()')[:4] for text in texts for word in text.lower().split()})
    return torch.tensor(
        [[float(sum(w.strip('.,;:"()')[:4] == word for w in text.lower().split())) for word in words] for text in texts]
    )


class TestReader:
    def test_a_sense_by_its_id_and_by_its_number(self, wordnet, ids):
        for sense in (ids['crane.n.02'], 'crane.n.02'):
            found = wordnet.synset(sense)
            assert (found.id, found.words, found.gloss) == (
                ids['crane.n.02'],
                ('crane',),
                'large long-necked wading bird',
            )
        found = wordnet.synset('play.v.02')
        assert found.gloss == 'play on an instrument'
        assert found.examples.endswith('"play the guitar"')
        assert wordnet.synset('tench.n.01').words == ('tench', 'Tinca tinca')
        assert wordnet.synset('bright.a.01').words == ('bright',)

    @pytest.mark.parametrize('line', ['garbage', 'box n 1 x', 'box n x 0 1 0 00000023'])
    def test_files_that_are_none_of_wordnet(self, line, tmp_path):
        write_wordnet(tmp_path)
        (tmp_path / 'index.noun').write_text(f'  1 A licence.\n{line}\n')
        with pytest.raises(
            UserError, match=rf"index\.noun is no file of WordNet: '{line}'\. Give the folder of WordNet"
        ):
            WordNet(tmp_path).senses('box', 'n')

    def test_a_definition_with_semicolons_stays_whole(self, wordnet):
        assert wordnet.synset('guitar.n.01').gloss == (
            'a stringed instrument usually having six strings; played by strumming or plucking'
        )

    @pytest.mark.parametrize(
        ('phrase', 'kind', 'want'),
        [
            ('playing', 'v', ('play',)),
            ('Picking up', 'v', ('pick up',)),
            ('running', 'v', ('run',)),
            ('drew', 'v', ('draw',)),
            ('waving', 'v', ('wave',)),
            ('boxes', 'n', ('box',)),
            ('feet', 'n', ('foot',)),
            ('ice creams', 'n', ('ice cream',)),
            ('flying', 'v', ()),
        ],
    )
    def test_dictionary_forms(self, wordnet, phrase, kind, want):
        assert wordnet.lemmas(phrase, kind) == want

    @pytest.mark.parametrize(
        ('sense', 'message'),
        [
            ('n00000001', 'has no sense n00000001. Is it the release the id is of'),
            ('n99999999', 'has no sense n99999999'),
            ('crane.n.03', "has 2 senses of 'crane' as n: crane.n.03 is none of them"),
            ('crane', "'crane' is no sense of WordNet, such as n01440764 or tench.n.01"),
        ],
    )
    def test_senses_that_are_not_there(self, wordnet, sense, message):
        with pytest.raises(UserError, match=message):
            wordnet.synset(sense)

    def test_a_folder_without_the_files(self, tmp_path):
        with pytest.raises(NotAtHandError, match=r'The WordNet folder .* does not exist. Give the folder of WordNet'):
            WordNet(tmp_path / 'none')
        write_wordnet(tmp_path)
        (tmp_path / 'data.verb').unlink()
        (tmp_path / 'noun.exc').unlink()
        with pytest.raises(NotAtHandError, match=r'lacks noun.exc, data.verb\. .*apt-get install wordnet-base'):
            WordNet(tmp_path)


class TestReading:
    @pytest.mark.parametrize(
        ('name', 'how', 'senses'),
        [
            ('tench', 'phrase', [['tench.n.01']]),
            ('ice_cream', 'phrase', [['ice_cream.n.01']]),
            ('PullUps', 'phrase', [['pull-up.n.01']]),
            ('waving', 'phrase', [['wave.v.01']]),
            ('wave', 'phrase', [['wave.n.01', 'wave.v.01']]),
            ('playing guitar', 'verb + object', [['play.v.01', 'play.v.02'], ['guitar.n.01']]),
            ('PlayingGuitar', 'verb + object', [['play.v.01', 'play.v.02'], ['guitar.n.01']]),
            ('picking up the boxes (not a crane)', 'verb + object', [['pick_up.v.01'], ['box.n.01']]),
            ('draw box', 'verb + object', [['draw.v.01', 'draw.v.02'], ['box.n.01']]),
            ('running into something', 'verb alone', [['run.v.01']]),
            ('bungee jumping', 'partial', [['jumping.n.01']]),
            ('crane operator', 'partial', [['crane.n.01', 'crane.n.02']]),
            ('zumba', 'none', []),
            ('运动', 'none', []),
        ],
    )
    def test_names(self, wordnet, ids, name, how, senses):
        found = read(name, wordnet)
        assert found.how == how
        assert [list(part) for part in found.parts] == [[ids[sense] for sense in part] for part in senses]


class TestChoice:
    def test_playing_guitar_is_no_sport(self, wordnet, ids):
        (first,) = choose_glosses(['playing guitar'], wordnet, sense='first')
        assert first.entry.glosses[0].startswith('participate in games or sport; a stringed instrument')
        (similar,) = choose_glosses(['playing guitar'], wordnet, encode=encode)
        assert similar.entry.glosses == (
            'play on an instrument; a stringed instrument usually having six strings; played by strumming or plucking',
        )
        assert similar.entry.senses == (f'{ids["play.v.02"]}+{ids["guitar.n.01"]}',)
        assert similar.words == ('play + guitar',)

    def test_several_senses(self, wordnet):
        names = ['playing guitar', 'tench']
        two = choose_glosses(names, wordnet, sense='first', max_senses=2)
        assert [len(choice.entry.glosses) for choice in two] == [2, 1]
        assert two[0].entry.glosses[1].startswith('play on an instrument')
        nearest = choose_glosses(names, wordnet, encode=encode, max_senses=2)
        assert nearest[0].entry.glosses == two[0].entry.glosses[::-1]
        assert nearest[0].likeness[0] > nearest[0].likeness[1]

    def test_senses_that_are_defined_alike_keep_their_own_likeness(self, tmp_path):
        senses = [('n', ('nook',), 'a corner'), ('n', ('nook',), 'a corner'), ('n', ('nook',), 'a reader of books')]
        with patch('tiny_wordnet.SENSES', senses):
            write_wordnet(tmp_path)
        (one,) = choose_glosses(
            ['nook'], WordNet(tmp_path), encode=lambda texts: torch.eye(4)[:1].expand(4, 4), max_senses=3
        )
        assert one.entry.glosses == ('a corner', 'a reader of books')
        assert one.likeness == pytest.approx((1.0, 0.96))

    def test_ids_go_before_names(self, wordnet, ids):
        chosen = choose_glosses(['crane', 'crane'], wordnet, sense='first', ids=[ids['crane.n.02'], ids['crane.n.01']])
        assert [choice.entry.glosses for choice in chosen] == [
            ('large long-necked wading bird',),
            ('lifts and moves heavy objects',),
        ]
        (by_name,) = choose_glosses([ids['tench.n.01']], wordnet, sense='first')
        assert by_name.entry.glosses == ('freshwater dace-like game fish of Europe',)
        assert by_name.how == 'id'

    def test_senses_that_are_defined_alike(self, wordnet):
        """Two trees of WordNet 3.0, and of ImageNet-22K, are gutta-percha trees with one and the same definition."""
        names, ids = ['gum', 'gum', 'tench'], ['gum.n.01', 'gum.n.02', 'tench.n.01']
        chosen = choose_glosses(names, wordnet, sense='first', ids=ids)
        assert [choice.entry.glosses for choice in chosen] == [
            ('gum tree; a tree that yields gum',),
            ('genus Gum; a tree that yields gum',),
            ('freshwater dace-like game fish of Europe',),
        ]
        same = choose_glosses(names[:2], wordnet, sense='first', ids=['gum.n.01'] * 2)
        assert [choice.entry.glosses for choice in same] == [('a tree that yields gum',)] * 2

    def test_overrides(self, wordnet, ids):
        overrides = {
            'Playing_Guitar': ['play.v.02 + guitar.n.01', 'strum a guitar'],
            'wave': ids['wave.v.01'],
            'tench': None,
        }
        chosen = choose_glosses(['playing guitar', 'wave', 'tench'], wordnet, sense='first', overrides=overrides)
        assert chosen[0].entry.glosses[0].startswith('play on an instrument; a stringed')
        assert chosen[0].entry.glosses[1] == 'strum a guitar'
        assert chosen[0].entry.senses == (f'{ids["play.v.02"]}+{ids["guitar.n.01"]}', '')
        assert chosen[1].entry.glosses == ('signal with the hands or nod',)
        assert chosen[2].entry.glosses == ()
        assert {choice.how for choice in chosen} == {'override'}

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(sense='next'), "Unknown sense choice 'next'. Known: first, similar"),
            (dict(sense='frist'), "Unknown sense choice 'frist'. Did you mean: first"),
            (dict(sense='similar'), "sense='similar' needs a sentence encoder"),
            (dict(sense='first', max_senses=0), 'max_senses is a whole number of at least 1, got 0'),
            (dict(sense='first', ids=['n00000001']), '1 ids of WordNet were given for 2 classes'),
            (dict(sense='first', ids=['n00000001'] * 2), 'has no sense n00000001'),
            (dict(sense='first', overrides={'tuna': ['a fish']}), r'not in the list: tuna'),
            (dict(sense='first', overrides={'wave': 5}), r"The gloss of 'wave' is a text or a list of texts, not 5"),
            (dict(sense='first', overrides={'tench': ['tench.n.07']}), "The override of 'tench': WordNet in"),
        ],
    )
    def test_what_cannot_be(self, wordnet, options, message):
        with pytest.raises(UserError, match=message):
            choose_glosses(['tench', 'wave'], wordnet, **options)

    def test_the_report(self, wordnet, ids):
        names = ['playing guitar', 'zumba', 'tench']
        chosen = choose_glosses(names, wordnet, encode=encode, overrides={'tench': ['a fish | of Europe']})
        rows = report_rows(chosen)
        likeness = f'{chosen[0].likeness[0]:.2f}'
        sense = f'play + guitar ({ids["play.v.02"]}+{ids["guitar.n.01"]})'
        assert rows[0] == ['0', 'playing guitar', 'verb + object', sense, likeness, '3', chosen[0].entry.glosses[0]]
        assert rows[1] == ['1', 'zumba', 'none', '', '', '', '']
        assert rows[2][2:4] == ['override', 'own words']
        assert coverage_lines(chosen) == [
            '2 of 3 classes have a gloss (66.7 %); read as: 1 verb + object, 1 none, 1 override.',
            'Without a gloss, and so with their bare name: zumba.',
            'Least like their gloss, look at these first: playing guitar.',
        ]
        assert r'a fish \| of Europe |' in report_markdown(chosen)
        assert table_of(chosen, 'x').find(names)[1:] == ((), ('a fish | of Europe',))
