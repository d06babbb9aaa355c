"""Sentences of the demonstration model's small world: each in English and French, one the translation of the other.

French is put together as words with marks: a word that ends in ~ changes before a vowel (le~ ami is
l'ami, beau~ arbre bel arbre), and ° keeps an h from being taken for silent. `french` resolves both, and the contractions (de le: du).
"""

import random
from dataclasses import dataclass

import lexicon
from lexicon import Adjective, Noun, Verb

VOWELS = "aeiouyâàéèêëîïôöûùœh"
BEFORE_VOWELS = {
    "le~": "l'",
    "la~": "l'",
    "de~": "d'",
    "je~": "j'",
    "ne~": "n'",
    "que~": "qu'",
    "ce~": "cet ",
    "ma~": "mon ",
    "ta~": "ton ",
    "sa~": "son ",
    "beau~": "bel ",
    "vieux~": "vieil ",
    "nouveau~": "nouvel ",
}
CONTRACTIONS = {
    ("de~", "le~"): "du",
    ("de~", "les"): "des",
    ("à", "le~"): "au",
    ("à", "les"): "aux",
    ("jusqu'à", "le~"): "jusqu'au",
    ("jusqu'à", "les"): "jusqu'aux",
}


def french(text: str) -> str:
    """Elides and contracts: "de~ le~ ami" becomes "de l'ami", "de~ le~ chat" becomes "du chat"."""
    words, written, index = text.split(), "", 0
    while index < len(words):
        word, following = words[index], words[index + 1] if index + 1 < len(words) else "."
        after = words[index + 2] if index + 2 < len(words) else "."
        contraction = CONTRACTIONS.get((word, following))
        if contraction and not (following == "le~" and after[0].lower() in VOWELS):
            written, index = written + contraction + " ", index + 2
            continue
        elided = word in BEFORE_VOWELS and following[0].lower() in VOWELS
        written += BEFORE_VOWELS[word] if elided else word.rstrip("~") + " "
        index += 1
    return written.replace("°", "").strip()


def english(text: str) -> str:
    """Chooses between a and an."""
    words = text.split()
    for index, word in enumerate(words[:-1]):
        if word == "a" and words[index + 1][0].lower() in "aeiou":
            words[index] = "an"
    return " ".join(words)


def sentence(en: str, fr: str, mark: str = ".") -> tuple[str, str]:
    """Both sides with a capital letter and their punctuation: French has a space before ? and !."""
    en, fr = english(en), french(fr)
    return en[0].upper() + en[1:] + mark, fr[0].upper() + fr[1:] + (mark if mark == "." else " " + mark)


@dataclass(frozen=True)
class Phrase:
    """A noun with all that belongs to it, or a pronoun or a name."""

    en: str
    fr: str
    person: int
    """je, tu, il, nous, ils: what the verbs agree with."""
    feminine: bool
    owner: str
    kind: str

    @property
    def plural(self) -> bool:
        return self.person > 2


OWNERS = {
    "my": ("mon", "ma~", "mes"),
    "your": ("ton", "ta~", "tes"),
    "his": ("son", "sa~", "ses"),
    "her": ("son", "sa~", "ses"),
    "its": ("son", "sa~", "ses"),
    "our": ("notre", "notre", "nos"),
    "their": ("leur", "leur", "leurs"),
}
PRONOUNS = [
    Phrase("I", "je~", 0, False, "my", "person"),
    Phrase("you", "tu", 1, False, "your", "person"),
    Phrase("he", "il", 2, False, "his", "person"),
    Phrase("she", "elle", 2, True, "her", "person"),
    Phrase("we", "nous", 3, False, "our", "person"),
    Phrase("they", "ils", 4, False, "their", "person"),
]


def agreed(adjective: Adjective, phrase: Phrase) -> str:
    return adjective.forms[phrase.feminine + 2 * phrase.plural]


def en_verb(verb: Verb, subject: Phrase, tense: str, negation: str = "") -> str:
    """The English verb, with `negation` "not" or "never"."""
    third = subject.person == 2
    if verb is lexicon.BE:
        form = {
            "present": ("am", "are", "is", "are", "are"),
            "past": ("was", "were", "was", "were", "were"),
            "future": ("will be",) * 5,
        }[tense][subject.person]
        return form.replace("will", f"will {negation}") if tense == "future" else f"{form} {negation}"
    if tense == "future":
        return f"will {negation} {verb.en}"
    if negation == "not":
        return f"{'did' if tense == 'past' else 'does' if third else 'do'} not {verb.en}"
    return f"{negation} {verb.en_past if tense == 'past' else verb.en_third if third else verb.en}"


def fr_verb(verb: Verb, subject: Phrase, tense: str, negation: str = "", imperfect: bool = False) -> str:
    """The French verb after its subject: the past is the passé composé, or the imparfait where a state is told."""
    second = {"": "", "not": "pas", "never": "jamais"}[negation]
    first = "ne~" if negation else ""
    if tense == "past" and not imperfect:
        auxiliary = (lexicon.BE if verb.with_être else lexicon.HAVE).present[subject.person]
        ending = ("e" if subject.feminine else "") + ("s" if subject.plural else "") if verb.with_être else ""
        return f"{first} {auxiliary} {second} {verb.participle}{ending}"
    form = {"present": verb.present, "past": verb.imperfect, "future": verb.future}[tense][subject.person]
    return f"{first} {form} {second}"


class World:
    """Draws phrases and sentences. The same generator draws the same ones."""

    def __init__(self, generator: random.Random):
        self.random = generator

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def one(self, choices):
        return self.random.choice(choices)

    # Phrases

    def noun(self, kinds: frozenset[str]) -> Noun:
        return self.one(NOUNS_OF[kinds])

    def adjectives(self, kind: str) -> list[Adjective]:
        """At most one that stands before its noun in French, and one behind it."""
        if not self.chance(0.4):
            return []
        before, after = BEFORE[kind], AFTER[kind]
        choice = self.random.random()
        found = [self.one(before)] if before and choice < 0.6 else []
        return found + ([self.one(after)] if after and choice >= 0.45 else [])

    def described(
        self, noun: Noun, determiner: str, plural: bool, owner: str = "", adjectives: list[Adjective] | None = None
    ) -> Phrase:
        """A noun with a determiner (the, a, this, some, any, owner, a number) and adjectives."""
        adjectives = self.adjectives(noun.kind) if adjectives is None else adjectives
        bare = Phrase("", "", 4 if plural else 2, noun.gender == "f", "their" if plural else noun.owner, noun.kind)
        form = 2 if plural else 1 if bare.feminine else 0
        before = [agreed(adjective, bare) for adjective in adjectives if adjective.before]
        before = [word + "~" if word + "~" in BEFORE_VOWELS else word for word in before]
        mass = noun.kind in ("dish", "drink")
        en, fr = {
            "the": ("the", ("le~", "la~", "les")[form]),
            "a": ("a", ("un", "une", "")[form]),
            "this": ("these" if plural else "this", ("ce~", "cette", "ces")[form]),
            "some": ("some", f"de~ {('le~', 'la~')[form]}" if mass else "de~" if before else "des"),
            "any": ("any", "de~"),
            "owner": (owner, OWNERS[owner][form] if owner else ""),
        }.get(determiner) or self.number()
        after = [agreed(adjective, bare) for adjective in adjectives if not adjective.before]
        fr_noun, en_noun = (noun.fr_plural, noun.en_plural) if plural else (noun.fr, noun.en)
        return Phrase(
            " ".join([en, *(adjective.en for adjective in adjectives), en_noun]),
            " ".join([fr, *before, fr_noun, *after]),
            bare.person,
            bare.feminine,
            bare.owner,
            noun.kind,
        )

    def number(self) -> tuple[str, str]:
        if self.chance(0.3):
            digits = str(self.random.randint(2, 99))
            return digits, digits
        return self.one(lexicon.NUMBERS)

    def thing(self, kinds: frozenset[str], owner: str = "", indefinite: bool = True, negated: bool = False) -> Phrase:
        """An object of a sentence: `owner` is the possessive of its subject."""
        noun = self.noun(kinds)
        mass = noun.kind in ("dish", "drink")
        choice = self.random.random()
        if negated and choice < 0.4:
            return self.described(noun, "any", not mass)
        if owner and choice < 0.2 and noun.kind not in lexicon.PLACES:
            return self.described(noun, "owner", not mass and self.chance(0.25), owner)
        if indefinite and not negated and choice < 0.5:
            if mass:
                return self.described(noun, "some", False)
            return self.described(
                noun, *self.one([("a", False), ("a", False), ("a", False), ("some", True), ("number", True)])
            )
        if choice < 0.58 and not mass:
            return self.described(noun, "this", self.chance(0.3))
        if choice < 0.7 and not mass and noun.kind not in lexicon.PLACES:
            return self.owned(noun)
        return self.described(noun, "the", not mass and self.chance(0.25))

    def owned(self, noun: Noun) -> Phrase:
        """The baker's red hat, le chapeau rouge du boulanger."""
        thing = self.described(noun, "the", self.chance(0.2))
        if self.chance(0.4):
            name = self.one(lexicon.NAMES[self.one(["his", "her"])])
            owner_en, owner_fr = name, name
        else:
            person = self.described(self.one(lexicon.PEOPLE), "the", False, adjectives=[])
            owner_en, owner_fr = person.en, person.fr
        return Phrase(
            f"{owner_en}'s {thing.en.removeprefix('the ')}",
            f"{thing.fr} de~ {owner_fr}",
            thing.person,
            thing.feminine,
            thing.owner,
            thing.kind,
        )

    def living(self, kinds: frozenset[str] = lexicon.ANIMATE, pronouns: bool = True) -> Phrase:
        """A subject."""
        choice = self.random.random()
        if pronouns and choice < 0.2:
            return self.one(PRONOUNS)
        if "person" in kinds and choice < 0.38:
            owner = self.one(["his", "her"])
            name = self.one(lexicon.NAMES[owner])
            if self.chance(0.15):
                other = self.described(self.one(lexicon.PEOPLE), "the", False)
                return Phrase(
                    f"{name} and {other.en}",
                    f"{name} et {other.fr}",
                    4,
                    owner == "her" and other.feminine,
                    "their",
                    "person",
                )
            return Phrase(name, name, 2, owner == "her", owner, "person")
        noun = self.noun(kinds)
        if choice < 0.5 and noun.kind == "person":
            return self.described(noun, "owner", False, self.one(["my", "your", "our"]))
        determiner, plural = self.one(
            [("the", False)] * 5 + [("the", True)] * 2 + [("a", False), ("this", False), ("number", True)]
        )
        phrase = self.described(noun, determiner, plural)
        return self.with_relative(phrase) if determiner in ("the", "this") and self.chance(0.08) else phrase

    def with_relative(self, phrase: Phrase) -> Phrase:
        """The cat that sleeps under the table."""
        verb = self.one(lexicon.ALONE)
        place_en, place_fr = self.place(verb) if self.chance(0.5) else ("", "")
        which = "who" if phrase.kind == "person" else "that"
        return Phrase(
            f"{phrase.en} {which} {en_verb(verb, phrase, 'present')} {place_en}",
            f"{phrase.fr} qui {fr_verb(verb, phrase, 'present')} {place_fr}",
            phrase.person,
            phrase.feminine,
            phrase.owner,
            phrase.kind,
        )

    # Complements

    def place(self, verb: Verb | None = None) -> tuple[str, str]:
        if self.chance(0.35):
            return self.beside()
        english, french, noun = self.one(lexicon.LOCATIONS)
        place = self.described(noun, "the", False, adjectives=None if french != "à" and self.chance(0.5) else [])
        return f"{english} {place.en}", f"{french} {place.fr}"

    def beside(self) -> tuple[str, str]:
        """Where something is: under the table, in the box."""
        choice = self.random.random()
        if choice < 0.2:
            (english, french), kinds = ("in", "dans"), frozenset({"container"})
        elif choice < 0.4:
            (english, french), kinds = ("on", "sur"), frozenset({"furniture"})
        else:
            english, french = self.one(lexicon.BESIDE)
            kinds = (
                frozenset({"furniture"})
                if english == "under"
                else frozenset({"furniture", "opening", "building", "nature"})
            )
        other = self.described(self.noun(kinds), self.one(["the", "the", "this"]), False)
        return f"{english} {other.en}", f"{french} {other.fr}"

    def when(self, tense: str, share: float = 0.3) -> tuple[str, str]:
        if not self.chance(share):
            return "", ""
        if self.chance(0.1):
            hour = str(self.random.randint(2, 12))
            return f"at {hour} o'clock", f"à {hour} heures"
        return self.one(lexicon.WHEN[tense])

    def tense(self) -> str:
        return self.random.choices(["present", "past", "future"], [45, 35, 20])[0]

    # Clauses: English and French, without punctuation

    def clause(self, simple: bool = False) -> tuple[str, str]:
        """A statement of one subject."""
        kinds = [self.acts, self.acts_on, self.acts_on, self.acts_on, self.gives, self.goes]
        if not simple:
            kinds += [self.is_so, self.is_so, self.compares, self.feels, self.wants, self.lies, self.there_is, self.age]
        return self.one(kinds)()

    def verb_words(self, verb: Verb, subject: Phrase, tense: str) -> tuple[str, str, str]:
        """The verb in both languages and whether it is negated; "read" and "cut" only where their tense is seen."""
        negation = self.one(["not", "not", "never"]) if self.chance(0.15) else ""
        if verb.en.split()[0] == verb.en_past.split()[0] and subject.person != 2 and negation != "not":
            tense = "future"
        if tense == "present" and not negation and self.chance(0.1):
            often_en, often_fr = self.one(lexicon.OFTEN)
            return f"{often_en} {en_verb(verb, subject, tense)}", f"{fr_verb(verb, subject, tense)} {often_fr}", ""
        return en_verb(verb, subject, tense, negation), fr_verb(verb, subject, tense, negation), negation

    def acts(self) -> tuple[str, str]:
        subject, tense = self.living(), self.tense()
        verb = lexicon.FLY if subject.kind == "bird" and self.chance(0.5) else self.one(lexicon.ALONE)
        verb_en, verb_fr, _ = self.verb_words(verb, subject, tense)
        how_en, how_fr = self.one(lexicon.HOW) if self.chance(0.3) else ("", "")
        place_en, place_fr = self.place(verb) if self.chance(0.5) else ("", "")
        when_en, when_fr = self.when(tense)
        return (
            f"{subject.en} {verb_en} {how_en} {place_en} {when_en}",
            f"{subject.fr} {verb_fr} {how_fr} {place_fr} {when_fr}",
        )

    def acts_on(self) -> tuple[str, str]:
        subject, tense = self.living(), self.tense()
        verb, kinds = self.one(lexicon.WITH_OBJECT)
        if verb.en == verb.en_past and subject.person != 2:
            tense = "future"
        verb_en, verb_fr, negation = self.verb_words(verb, subject, tense)
        thing = self.thing(kinds, subject.owner, negated=bool(negation))
        place_en, place_fr = self.place() if self.chance(0.15) and not kinds & lexicon.PLACES else ("", "")
        when_en, when_fr = self.when(tense)
        return (
            f"{subject.en} {verb_en} {thing.en} {place_en} {when_en}",
            f"{subject.fr} {verb_fr} {thing.fr} {place_fr} {when_fr}",
        )

    def gives(self) -> tuple[str, str]:
        subject, tense, verb = self.living(frozenset({"person"})), self.tense(), self.one(lexicon.GIVING)
        verb_en, verb_fr, negation = self.verb_words(verb, subject, tense)
        thing = self.thing(lexicon.PORTABLE | {"food"}, subject.owner, negated=bool(negation))
        receiver = self.living(frozenset({"person"}), pronouns=False)
        when_en, when_fr = self.when(tense, 0.15)
        return (
            f"{subject.en} {verb_en} {thing.en} to {receiver.en} {when_en}",
            f"{subject.fr} {verb_fr} {thing.fr} à {receiver.fr} {when_fr}",
        )

    def goes(self) -> tuple[str, str]:
        subject, tense, verb = self.living(), self.tense(), self.one(lexicon.TOWARDS)
        verb_en, verb_fr, _ = self.verb_words(verb, subject, tense)
        place = self.described(self.one(lexicon.DESTINATIONS), "the", False, adjectives=[])
        with_en, with_fr = self.company(subject) if self.chance(0.3) else ("", "")
        when_en, when_fr = self.when(tense)
        return (
            f"{subject.en} {verb_en} to {place.en} {with_en} {when_en}",
            f"{subject.fr} {verb_fr} à {place.fr} {with_fr} {when_fr}",
        )

    def company(self, subject: Phrase) -> tuple[str, str]:
        noun = self.noun(lexicon.ANIMATE)
        other = self.described(noun, *self.one([("owner", False), ("the", False), ("a", False)]), subject.owner)
        return f"with {other.en}", f"avec {other.fr}"

    def anything(self) -> Phrase:
        """A subject that is described: a living being, a thing or a place."""
        if self.chance(0.4):
            return self.living()
        kinds = self.one(
            [lexicon.PORTABLE, lexicon.EDIBLE | {"drink"}, frozenset({"furniture", "opening"}), lexicon.PLACES]
        )
        return self.thing(kinds, indefinite=False)

    def quality(self, kind: str) -> Adjective:
        return self.one(BEFORE[kind] + AFTER[kind])

    def is_so(self) -> tuple[str, str]:
        """The house is small and red."""
        subject, tense = self.anything(), self.tense()
        negation = "not" if self.chance(0.15) else ""
        first, second = self.quality(subject.kind), self.quality(subject.kind)
        very = self.chance(0.2)
        words_en, words_fr = first.en, agreed(first, subject)
        if very:
            words_en, words_fr = f"very {words_en}", f"très {words_fr}"
        elif first is not second and self.chance(0.4):
            words_en, words_fr = f"{words_en} and {second.en}", f"{words_fr} et {agreed(second, subject)}"
        return (
            f"{subject.en} {en_verb(lexicon.BE, subject, tense, negation)} {words_en}",
            f"{subject.fr} {fr_verb(lexicon.BE, subject, tense, negation, imperfect=True)} {words_fr}",
        )

    def compares(self) -> tuple[str, str]:
        """The cat is smaller than the dog."""
        subject, tense = self.anything(), self.one(["present", "present", "past"])
        other = self.thing(frozenset({subject.kind}), subject.owner, indefinite=False)
        quality = self.one([each for each in BEFORE[subject.kind] + AFTER[subject.kind] if each.comparative])
        equal = self.chance(0.3)
        words_en = f"as {quality.en} as" if equal else f"{quality.comparative} than"
        words_fr = f"{'aussi' if equal else 'plus'} {agreed(quality, subject)} que~"
        return (
            f"{subject.en} {en_verb(lexicon.BE, subject, tense)} {words_en} {other.en}",
            f"{subject.fr} {fr_verb(lexicon.BE, subject, tense, imperfect=True)} {words_fr} {other.fr}",
        )

    def feels(self) -> tuple[str, str]:
        """The boy is hungry, le garçon a faim."""
        subject, tense = self.living(), self.tense()
        feeling_en, feeling_fr = self.one(lexicon.FEELINGS)
        negation = "not" if self.chance(0.2) else ""
        of_en, of_fr = "", ""
        if feeling_en == "afraid":
            other = self.described(self.noun(lexicon.ANIMATE), "the", self.chance(0.3))
            of_en, of_fr = f"of {other.en}", f"de~ {other.fr}"
        when_en, when_fr = self.when(tense)
        return (
            f"{subject.en} {en_verb(lexicon.BE, subject, tense, negation)} {feeling_en} {of_en} {when_en}",
            f"{subject.fr} {fr_verb(lexicon.HAVE, subject, tense, negation, imperfect=True)} {feeling_fr} {of_fr} {when_fr}",
        )

    def wants(self) -> tuple[str, str]:
        """To want, to be able, to have to: with an infinitive."""
        subject = self.living()
        modal, tense = self.one(
            [
                (lexicon.WANT, "present"),
                (lexicon.WANT, "past"),
                (lexicon.CAN, "present"),
                (lexicon.CAN, "past"),
                (lexicon.MUST, "present"),
            ]
        )
        negation = "not" if self.chance(0.2) and modal is not lexicon.MUST else ""
        if modal is lexicon.WANT:
            modal_en = en_verb(modal, subject, tense, negation) + " to"
        elif modal is lexicon.CAN:
            modal_en = ("can" if tense == "present" else "could") + (" not" if negation else "")
            modal_en = modal_en.replace("can not", "cannot")
        else:
            modal_en = "must"
        modal_fr = fr_verb(modal, subject, tense, negation, imperfect=True)
        if self.chance(0.35):
            verb = self.one(lexicon.ALONE)
            rest_en, rest_fr = self.place(verb) if self.chance(0.6) else ("", "")
        elif self.chance(0.2):
            verb = self.one(lexicon.TOWARDS)
            place = self.described(self.one(lexicon.DESTINATIONS), "the", False, adjectives=[])
            rest_en, rest_fr = f"to {place.en}", f"à {place.fr}"
        else:
            verb, kinds = self.one(lexicon.WITH_OBJECT)
            thing = self.thing(kinds, subject.owner, indefinite=not negation)
            rest_en, rest_fr = thing.en, thing.fr
        when_en, when_fr = self.when(tense, 0.2)
        return (
            f"{subject.en} {modal_en} {verb.en} {rest_en} {when_en}",
            f"{subject.fr} {modal_fr} {verb.fr} {rest_fr} {when_fr}",
        )

    def lies(self) -> tuple[str, str]:
        """The key is under the table."""
        subject, tense = self.thing(lexicon.PORTABLE | {"food", "animal"}, indefinite=False), self.tense()
        negation = "not" if self.chance(0.15) else ""
        place_en, place_fr = self.beside() if self.chance(0.7) else self.place()
        return (
            f"{subject.en} {en_verb(lexicon.BE, subject, tense, negation)} {place_en}",
            f"{subject.fr} {fr_verb(lexicon.BE, subject, tense, negation, imperfect=True)} {place_fr}",
        )

    def there_is(self) -> tuple[str, str]:
        noun = self.noun(lexicon.ANIMATE | lexicon.PORTABLE | lexicon.EDIBLE | {"furniture"})
        mass, tense = noun.kind == "dish", self.one(["present", "past"])
        thing = self.described(
            noun, *(("some", False) if mass else self.one([("a", False), ("some", True), ("number", True)]))
        )
        place_en, place_fr = self.place()
        be = en_verb(lexicon.BE, thing, tense)
        return (
            f"there {be} {thing.en} {place_en}",
            f"il y {'a' if tense == 'present' else 'avait'} {thing.fr} {place_fr}",
        )

    def age(self) -> tuple[str, str]:
        owner = self.one(["his", "her"])
        name = self.one(lexicon.NAMES[owner])
        subject = self.one([Phrase(name, name, 2, owner == "her", owner, "person"), self.one(PRONOUNS)])
        number_en, number_fr = self.number()
        return (
            f"{subject.en} {en_verb(lexicon.BE, subject, 'present')} {number_en} years old",
            f"{subject.fr} {fr_verb(lexicon.HAVE, subject, 'present')} {number_fr} ans",
        )

    # Sentences

    def says(self) -> tuple[str, str]:
        subject, verb = self.living(), self.one(lexicon.SAYING)
        en, fr = self.clause()
        return (
            f"{subject.en} {en_verb(verb, subject, 'present')} that {en}",
            f"{subject.fr} {fr_verb(verb, subject, 'present')} que~ {fr}",
        )

    def joined(self) -> tuple[str, str]:
        conjunction_en, conjunction_fr = self.one(
            [("and", "et"), ("but", "mais"), ("because", "parce que~"), ("because", "parce que~")]
        )
        (first_en, first_fr), (second_en, second_fr) = self.clause(simple=True), self.clause()
        if conjunction_en == "because" and self.chance(0.4):
            weather_en, weather_fr = self.one(lexicon.WEATHER)
            tense = self.random.randrange(3)
            second_en, second_fr = weather_en[tense], weather_fr[tense]
        return f"{first_en} {conjunction_en} {second_en}", f"{first_fr} {conjunction_fr} {second_fr}"

    def weather(self) -> tuple[str, str]:
        weather_en, weather_fr = self.one(lexicon.WEATHER)
        index = self.random.randrange(3)
        when_en, when_fr = self.when(("present", "past", "future")[index], 0.5)
        place_en, place_fr = self.place() if self.chance(0.2) else ("", "")
        return f"{weather_en[index]} {place_en} {when_en}", f"{weather_fr[index]} {place_fr} {when_fr}"

    def question(self) -> tuple[str, str]:
        subject, tense = self.living(), self.tense()
        form = self.one(["", "", "where", "when", "why", "what", "who"])
        verb, kinds = self.one(lexicon.WITH_OBJECT)
        thing = self.thing(kinds, subject.owner, indefinite=form == "")
        if form == "who":
            someone = Phrase("who", "qui", 2, False, "", "person")
            thing = self.thing(kinds, indefinite=False)
            return f"who {en_verb(verb, someone, tense)} {thing.en}", f"qui {fr_verb(verb, someone, tense)} {thing.fr}"
        auxiliary = {"present": "does" if subject.person == 2 else "do", "past": "did", "future": "will"}[tense]
        verb_fr = fr_verb(verb, subject, tense)
        if form == "what":
            if kinds >= lexicon.ANIMATE:
                verb, _ = lexicon.WITH_OBJECT[0]
                verb_fr = fr_verb(verb, subject, tense)
            return f"what {auxiliary} {subject.en} {verb.en}", f"qu'est-ce que~ {subject.fr} {verb_fr}"
        asked = {"": "", "where": "où", "when": "quand", "why": "pourquoi"}[form]
        return (
            f"{form} {auxiliary} {subject.en} {verb.en} {thing.en}",
            f"{asked} est-ce que~ {subject.fr} {verb_fr} {thing.fr}",
        )

    def order(self) -> tuple[str, str]:
        verb, kinds = self.one(lexicon.WITH_OBJECT)
        negated = self.chance(0.25)
        thing = self.thing(kinds, "your", indefinite=not negated)
        please_en, please_fr = (", please", ", s'il te plaît") if self.chance(0.3) else ("", "")
        if negated:
            return f"do not {verb.en} {thing.en}{please_en}", f"ne~ {verb.imperative} pas {thing.fr.strip()}{please_fr}"
        return f"{verb.en} {thing.en}{please_en}", f"{verb.imperative} {thing.fr.strip()}{please_fr}"

    def pair(self) -> tuple[str, str]:
        """A sentence in English and in French."""
        choice = self.random.random()
        if choice < 0.66:
            return sentence(*self.clause())
        if choice < 0.78:
            return sentence(*self.joined())
        if choice < 0.82:
            return sentence(*self.says())
        if choice < 0.84:
            return sentence(*self.weather())
        if choice < 0.94:
            return sentence(*self.question(), "?")
        return sentence(*self.order(), self.one([".", "!"]))


class _NounsByKinds(dict):
    def __missing__(self, kinds: frozenset[str]) -> list[Noun]:
        self[kinds] = [noun for noun in lexicon.BY_ENGLISH.values() if noun.kind in kinds]
        return self[kinds]


NOUNS_OF = _NounsByKinds()
KINDS = {noun.kind for noun in lexicon.BY_ENGLISH.values()}
BEFORE = {kind: [each for each in lexicon.ADJECTIVES if each.before and kind in each.kinds] for kind in KINDS}
AFTER = {kind: [each for each in lexicon.ADJECTIVES if not each.before and kind in each.kinds] for kind in KINDS}
