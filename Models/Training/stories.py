"""Little stories of the demonstration model's world: lists of sentences, each in English and in French."""

import lexicon
from grammar import Phrase, World, agreed, english, french
from lexicon import Noun

HEROES = [noun for noun in lexicon.ANIMALS if noun.en not in ("bee", "ant", "crab")] + [
    lexicon.BY_ENGLISH[word]
    for word in (
        "boy",
        "girl",
        "prince",
        "princess",
        "baker",
        "farmer",
        "king",
        "queen",
        "witch",
        "knight",
        "sailor",
        "grandmother",
    )
]
VIRTUES = [
    each
    for each in lexicon.ADJECTIVES
    if each.en
    in ("small", "old", "young", "happy", "sad", "kind", "clever", "brave", "shy", "lazy", "curious", "strong")
]
TREASURES = [noun for noun in lexicon.BY_ENGLISH.values() if noun.kind in ("thing", "missile", "reading", "breakable")]
PLAINS = (
    [("in", "dans", word) for word in "garden forest valley park village field castle".split()]
    + [("on", "sur", word) for word in "island mountain beach".split()]
    + [("near", "près de~", word) for word in ("lake river harbour mill church bridge".split())]
)
GREETINGS = [("Good morning", "Bonjour"), ("Hello", "Salut"), ("Good evening", "Bonsoir")]


def le(noun: Noun) -> str:
    return "la~" if noun.gender == "f" else "le~"


def un(noun: Noun) -> str:
    return "une" if noun.gender == "f" else "un"


def mon(noun: Noun) -> str:
    return "ma~" if noun.gender == "f" else "mon"


def ils(hero: "Hero", friend: "Hero") -> str:
    return "elles" if hero.feminine and friend.feminine else "ils"


class Hero:
    """Somebody of a story, and the words for him or her."""

    def __init__(self, world: World, noun: Noun, virtue: lexicon.Adjective | None):
        feminine = noun.gender == "f"
        owner = noun.owner if noun.owner != "its" else "her" if feminine else "his"
        article, indefinite = ("la~", "une") if feminine else ("le~", "un")
        phrase = Phrase(noun.en, noun.fr, 2, feminine, owner, noun.kind)
        word = agreed(virtue, phrase) if virtue else ""
        marked = word + "~" if word in ("beau", "vieux", "nouveau") else word
        before, after = (f"{marked} ", "") if virtue and virtue.before else ("", f" {word}" if virtue else "")
        self.feminine = feminine
        self.en, self.fr = f"the {noun.en}", f"{article} {noun.fr}"
        self.a_en = f"a {virtue.en + ' ' if virtue else ''}{noun.en}"
        self.a_fr = f"{indefinite} {before}{noun.fr}{after}"
        self.he, self.il, self.his, self.him = ("she", "elle", "her", "her") if feminine else ("he", "il", "his", "him")
        self.e = "e" if feminine else ""
        """The ending of a French participle that agrees with it."""
        self.own = lambda noun: f"{'sa~' if noun.gender == 'f' else 'son'} {noun.fr}"


class Storyteller:
    """Tells stories: the generator of its world decides which."""

    def __init__(self, world: World):
        self.world = world

    def story(self) -> tuple[Hero, list[tuple[str, str]]]:
        world = self.world
        noun = world.one(HEROES)
        first = Hero(world, noun, world.one(VIRTUES))
        second = Hero(world, world.one([each for each in HEROES if each is not noun]), world.one([None, *VIRTUES]))
        plot = world.one([self.lost, self.hungry, self.gift, self.rain, self.race, self.afraid])
        return first, [
            (self.finish(english(en)), self.finish(french(fr)))
            for en, fr in [*self.opening(first), *plot(first, second), self.ending(first, second)]
        ]

    @staticmethod
    def finish(text: str) -> str:
        return text[0].upper() + text[1:].replace(" .", ".").replace(" ,", ",")

    def one(self, *choices):
        return self.world.one(choices)

    def place(self) -> tuple[str, str]:
        english, french, word = self.world.one(PLAINS)
        noun = lexicon.BY_ENGLISH[word]
        return f"{english} the {noun.en}", f"{french} {le(noun)} {noun.fr}"

    def where(self) -> tuple[str, str]:
        """Where something was found."""
        return self.world.beside()

    def opening(self, hero: Hero) -> list[tuple[str, str]]:
        place_en, place_fr = self.place()
        start = self.one(
            (
                f"Once upon a time, there was {hero.a_en} who lived {place_en}.",
                f"Il était une fois {hero.a_fr} qui vivait {place_fr} .",
            ),
            (f"Once upon a time, {hero.a_en} lived {place_en}.", f"Il était une fois, {place_fr} , {hero.a_fr} ."),
            (f"There once was {hero.a_en} {place_en}.", f"Il y avait autrefois {hero.a_fr} {place_fr} ."),
        )
        verb = self.world.one(
            [each for each in lexicon.ALONE if each.en in ("sing", "dance", "dream", "work", "play", "sleep", "walk")]
        )
        when_en, when_fr = self.one(
            ("every day", "tous les jours"), ("every Sunday", "chaque dimanche"), ("in the morning", "le matin")
        )
        habit = self.one(
            [(f"{hero.he} {verb.en_past} {when_en}.", f"{hero.il} {verb.imperfect[2]} {when_fr} .")],
            [(f"{hero.he} loved to {verb.en}.", f"{hero.il} aimait {verb.fr} .")],
            [],
        )
        return [start, *habit]

    def ending(self, hero: Hero, friend: Hero) -> tuple[str, str]:
        both_fr = ils(hero, friend)
        ending_e = "es" if both_fr == "elles" else "s"
        return self.one(
            (
                f"From that day on, {hero.en} and {friend.en} were friends.",
                f"Depuis ce jour, {hero.fr} et {friend.fr} sont ami{ending_e}.",
            ),
            (
                "They were happy for a long time.",
                f"{both_fr} ont été heureu{'ses' if both_fr == 'elles' else 'x'} pendant longtemps.",
            ),
            (f"That night, {hero.en} slept very well.", f"Cette nuit-là, {hero.fr} a très bien dormi."),
            ("And they laughed until the evening.", f"Et {both_fr} ont ri jusqu'au soir."),
        )

    def meeting(self, hero: Hero, friend: Hero) -> list[tuple[str, str]]:
        place_en, place_fr = self.place()
        greeting_en, greeting_fr = self.world.one(GREETINGS)
        met = (f"{self.one('Then', 'Soon', 'On the way,')} {hero.he} met {friend.a_en} {place_en}.", "")
        start_fr = {"Then": "Puis", "Soon": "Bientôt", "On": "En chemin,"}[met[0].split()[0]]
        met = (met[0], f"{start_fr} {hero.il} a rencontré {friend.a_fr} {place_fr} .")
        return [
            met,
            *self.one([], [(f'"{greeting_en}!" said {friend.en}.', f"« {greeting_fr} ! » a dit {friend.fr} .")]),
        ]

    def lost(self, hero: Hero, friend: Hero) -> list[tuple[str, str]]:
        thing = self.world.one(TREASURES)
        it = le(thing)
        where_en, where_fr = self.where()
        e = "e" if thing.gender == "f" else ""
        return [
            (f"One day, {hero.he} lost {hero.his} {thing.en}.", f"Un jour, {hero.il} a perdu {hero.own(thing)} ."),
            self.one(
                (
                    f"{hero.he} looked for it everywhere, but {hero.he} did not find it.",
                    f"{hero.il} {it} a cherché{e} partout, mais {hero.il} ne~ {it} a pas trouvé{e}.",
                ),
                (f"{hero.he} was very sad and {hero.he} cried.", f"{hero.il} était très triste et {hero.il} a pleuré."),
            ),
            *self.meeting(hero, friend),
            (f'"Why are you sad?" asked {friend.en}.', f"« Pourquoi es-tu triste ? » a demandé {friend.fr} ."),
            (
                f'"I have lost my {thing.en}," said {hero.en}.',
                f"« J'ai perdu {mon(thing)} {thing.fr} », a dit {hero.fr} .",
            ),
            (
                f"{friend.en} helped {hero.him}, and they found the {thing.en} {where_en}.",
                f"{friend.fr} {'la~' if hero.feminine else 'le~'} a aidé{hero.e}, et ils ont trouvé {it} {thing.fr} {where_fr} ."
                if not (hero.feminine and friend.feminine)
                else f"{friend.fr} la~ a aidée, et elles ont trouvé {it} {thing.fr} {where_fr} .",
            ),
            (f'"Thank you, my friend!" said {hero.en}.', f"« Merci, mon ami{friend.e} ! » a dit {hero.fr} ."),
        ]

    def hungry(self, hero: Hero, friend: Hero) -> list[tuple[str, str]]:
        food = self.world.one(lexicon.FOODS)
        a = un(food)
        return [
            (f"One morning, {hero.he} was very hungry.", f"Un matin, {hero.il} avait très faim."),
            (
                f"{hero.he} looked for some {food.en_plural}, but there were no {food.en_plural}.",
                f"{hero.il} a cherché des {food.fr_plural}, mais il n'y avait pas de~ {food.fr_plural}.",
            ),
            *self.meeting(hero, friend),
            (f"{friend.en} had a {food.en} in {friend.his} bag.", f"{friend.fr} avait {a} {food.fr} dans son sac."),
            self.one(
                (
                    f"{friend.en} cut the {food.en} and gave half of it to {hero.en}.",
                    f"{friend.fr} a coupé {le(food)} {food.fr} et a donné la moitié à {hero.fr} .",
                ),
                (
                    f"{friend.en} gave the {food.en} to {hero.en}.",
                    f"{friend.fr} a donné {le(food)} {food.fr} à {hero.fr} .",
                ),
            ),
            (
                f"The {food.en} was very good.",
                f"{le(food)} {food.fr} était très bon{'ne' if food.gender == 'f' else ''}.",
            ),
        ]

    def gift(self, hero: Hero, friend: Hero) -> list[tuple[str, str]]:
        thing, dish = self.world.one(TREASURES), self.one("cake", "tart", "soup")
        dish = lexicon.BY_ENGLISH[dish]
        une = un(dish)
        a = un(thing)
        destination = lexicon.BY_ENGLISH[self.one("market", "village", "shop", "farm", "museum")]
        return [
            (
                f"One day, {hero.he} wanted to give a gift to {hero.his} friend, {friend.en}.",
                f"Un jour, {hero.il} voulait offrir un cadeau à son ami{friend.e}, {friend.fr} .",
            ),
            (
                f"{hero.he} went to the {destination.en} and bought a {thing.en}.",
                f"{hero.il} est allé{hero.e} à {le(destination)} {destination.fr} et a acheté {a} {thing.fr} .",
            ),
            (f"Then {hero.he} prepared a {dish.en}.", f"Puis {hero.il} a préparé {une} {dish.fr} ."),
            self.one(
                (f"{friend.en} was very happy.", f"{friend.fr} était très heureu{'se' if friend.feminine else 'x'}."),
                (
                    f'"What a beautiful {thing.en}!" said {friend.en}.',
                    f"« {'Quelle belle' if thing.gender == 'f' else 'Quel beau~'} {thing.fr} ! » a dit {friend.fr} .",
                ),
            ),
            (
                f"They ate the {dish.en} and sang.",
                f"{ils(hero, friend)} ont mangé {le(dish)} {dish.fr} et ont chanté.",
            ),
        ]

    def rain(self, hero: Hero, friend: Hero) -> list[tuple[str, str]]:
        destination = self.world.one(lexicon.DESTINATIONS)
        weather_en, weather_fr = self.one(("rain", "pleuvoir"), ("snow", "neiger"))
        return [
            (
                f"One evening, {hero.he} went to the {destination.en}, but it began to {weather_en}.",
                f"Un soir, {hero.il} est allé{hero.e} à {le(destination)} {destination.fr}, mais il a commencé à {weather_fr} .",
            ),
            (
                f"{hero.he} was cold and {hero.he} was afraid of the night.",
                f"{hero.il} avait froid et {hero.il} avait peur de~ la~ nuit.",
            ),
            *self.meeting(hero, friend),
            (f"{friend.en} had a big umbrella.", f"{friend.fr} avait un grand parapluie."),
            (
                f'"Come with me," said {friend.en}, "my house is near."',
                f"« Viens avec moi, a dit {friend.fr}, ma maison est proche. »",
            ),
            (
                "In the house, they drank some hot milk.",
                f"Dans la maison, {ils(hero, friend)} ont bu du lait chaud.",
            ),
        ]

    def race(self, hero: Hero, friend: Hero) -> list[tuple[str, str]]:
        place = self.one("river", "mill", "bridge", "church", "castle", "lake")
        noun = lexicon.BY_ENGLISH[place]
        goal = f"{le(noun)} {noun.fr}"
        return [
            (
                f'One day, {friend.a_en} said: "I am faster than you!"',
                f"Un jour, {friend.a_fr} a dit : « Je suis plus rapide que toi ! »",
            ),
            (
                f"They ran to the {noun.en}.",
                f"{ils(hero, friend)} ont couru jusqu'à {goal} .",
            ),
            self.one(
                (
                    f"{friend.en} was very fast, but {friend.he} stopped and slept under a tree.",
                    f"{friend.fr} était très rapide, mais {friend.il} s'est arrêté{friend.e} et a dormi sous un arbre.",
                ),
                (
                    f"{friend.en} ran quickly, but {friend.he} fell.",
                    f"{friend.fr} a couru rapidement, mais {friend.il} est tombé{friend.e}.",
                ),
            ),
            (
                f"{hero.en} walked slowly and did not stop.",
                f"{hero.fr} a marché lentement et ne~ s'est pas arrêté{hero.e}.",
            ),
            (f"So {hero.en} arrived first.", f"Alors {hero.fr} est arrivé{hero.e} en premier."),
            (f'"You are very clever," said {friend.en}.', f"« Tu es très intelligent{hero.e} », a dit {friend.fr} ."),
        ]

    def afraid(self, hero: Hero, friend: Hero) -> list[tuple[str, str]]:
        where_en, where_fr = self.where()
        thing = self.world.one(
            [
                noun
                for noun in TREASURES
                if noun.en
                in ("key", "book", "letter", "map", "ring", "crown", "lamp", "bell", "sword", "drum", "mirror", "clock")
            ]
        )
        a = un(thing)
        return [
            (f"One night, {hero.he} heard a noise {where_en}.", f"Une nuit, {hero.il} a entendu un bruit {where_fr} ."),
            (
                f"{hero.he} was afraid, but {hero.he} took a candle.",
                f"{hero.il} avait peur, mais {hero.il} a pris une bougie.",
            ),
            (f"It was {friend.a_en} who was hiding there.", f"C'était {friend.a_fr} qui se cachait là."),
            (
                f'"Do not be afraid," said {friend.en}, "I am looking for my {thing.en}."',
                f"« N'aie pas peur, a dit {friend.fr}, je cherche {mon(thing)} {thing.fr}. »",
            ),
            (
                f"They looked for it together, and {hero.en} found a magic {thing.en}.",
                f"{ils(hero, friend)} {le(thing)} ont cherché{'e' if thing.gender == 'f' else ''} "
                f"ensemble, et {hero.fr} a trouvé {a} {thing.fr} magique.",
            ),
        ]
