"""The words of the demonstration model's small world, in English and French.

Every English word has one French word and the reverse, so that a sentence of this world has one translation: a test of
exact match is fair. A mark ° before a French h says that no word is elided before it (le °hibou, but l'hôtel).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    en: str
    en_plural: str
    fr: str
    fr_plural: str
    gender: str
    """Of the French word: m or f."""
    kind: str
    owner: str = "its"
    """The English possessive of what belongs to it: his, her or its."""


@dataclass(frozen=True)
class Adjective:
    en: str
    comparative: str
    """In English; empty where this world compares nothing by it."""
    forms: tuple[str, str, str, str]
    """French: masculine, feminine, and their plurals."""
    before: bool
    """Whether it stands before its noun in French."""
    kinds: frozenset[str]


@dataclass(frozen=True)
class Verb:
    en: str
    en_third: str
    en_past: str
    fr: str
    present: tuple[str, str, str, str, str]
    """je, tu, il, nous, ils."""
    imperfect: tuple[str, str, str, str, str]
    future: tuple[str, str, str, str, str]
    participle: str
    with_être: bool
    imperative: str


def english_plural(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeou":
        return word[:-1] + "ies"
    return word + "s"


def french_plural(word: str) -> str:
    if word.endswith(("s", "x", "z")):
        return word
    if word.endswith(("eau", "eu")):
        return word + "x"
    if word.endswith("al"):
        return word[:-2] + "aux"
    return word + "s"


def nouns(kind: str, table: str) -> list[Noun]:
    """Lines of `english[/plural] = french[/plural] gender [owner]`."""
    found = []
    for line in table.strip().splitlines():
        english, french = (side.strip() for side in line.split("="))
        french, *rest = french.rsplit(" ", 2) if french.endswith((" his", " her", " its")) else french.rsplit(" ", 1)
        en, _, en_plural = english.partition("/")
        fr, _, fr_plural = french.partition("/")
        found.append(
            Noun(en, en_plural or english_plural(en), fr, fr_plural or french_plural(fr), rest[0], kind, *rest[1:])
        )
    return found


PEOPLE = nouns(
    "person",
    """
baker = boulanger m his
neighbour = voisin m his
teacher = professeur m his
doctor = médecin m his
king = roi m his
queen = reine f her
boy = garçon m his
girl = fille f her
man/men = homme m his
woman/women = femme f her
farmer = fermier m his
fisherman/fishermen = pêcheur m his
gardener = jardinier m his
cook = cuisinier m his
painter = peintre m his
dancer = danseuse f her
nurse = infirmière f her
grandmother = grand-mère/grands-mères f her
grandfather = grand-père/grands-pères m his
mother = mère f her
father = père m his
sister = sœur f her
brother = frère m his
aunt = tante f her
uncle = oncle m his
friend = ami m his
prince = prince m his
princess = princesse f her
knight = chevalier m his
witch = sorcière f her
sailor = marin m his
merchant = marchand m his
student = étudiant m his
postman/postmen = facteur m his
""",
)
ANIMALS = nouns(
    "animal",
    """
cat = chat m
dog = chien m
fox = renard m
rabbit = lapin m
mouse/mice = souris f
horse = cheval m
cow = vache f
lamb = agneau m
goat = chèvre f
hen = poule f
bear = ours m
wolf/wolves = loup m
frog = grenouille f
hedgehog = °hérisson m
squirrel = écureuil m
lion = lion m
elephant = éléphant m
monkey = singe m
turtle = tortue f
snail = escargot m
ant = fourmi f
donkey = âne m
pig = cochon m
crab = crabe m
""",
) + nouns(
    "bird",
    """
bird = oiseau m
duck = canard m
owl = °hibou/°hiboux m
goose/geese = oie f
swan = cygne m
bee = abeille f
butterfly = papillon m
""",
)
FOODS = nouns(
    "food",
    """
apple = pomme f
pear = poire f
cake = gâteau m
croissant = croissant m
egg = œuf m
tomato/tomatoes = tomate f
carrot = carotte f
cherry = cerise f
orange = orange f
banana = banane f
strawberry = fraise f
peach = pêche f
nut = noix f
biscuit = biscuit m
sandwich = sandwich m
mushroom = champignon m
pancake = crêpe f
lemon = citron m
plum = prune f
tart = tarte f
onion = oignon m
""",
)
DISHES = nouns(
    "dish",
    """
bread = pain m
cheese = fromage m
butter = beurre m
honey = miel m
soup = soupe f
rice = riz m
jam = confiture f
chocolate = chocolat m
salad = salade f
meat = viande f
""",
)
DRINKS = nouns(
    "drink",
    """
water = eau f
milk = lait m
tea = thé m
coffee = café m
juice = jus m
""",
)
READINGS = nouns(
    "reading",
    """
book = livre m
letter = lettre f
newspaper = journal m
poem = poème m
map = carte f
""",
)
CONTAINERS = nouns(
    "container",
    """
box = boîte f
bag = sac m
basket = panier m
suitcase = valise f
chest = coffre m
""",
)
THINGS = (
    nouns(
        "thing",
        """
key = clé f
hat = chapeau m
coat = manteau m
umbrella = parapluie m
lamp = lampe f
watch = montre f
doll = poupée f
toy = jouet m
drum = tambour m
violin = violon m
guitar = guitare f
spoon = cuillère f
knife/knives = couteau m
ring = bague f
crown = couronne f
candle = bougie f
pencil = crayon m
rope = corde f
hammer = marteau m
ladder = échelle f
flower = fleur f
leaf/leaves = feuille f
feather = plume f
shell = coquillage m
coin = pièce f
gift = cadeau m
scarf/scarves = écharpe f
glove = gant m
shoe = chaussure f
dress = robe f
shirt = chemise f
boot = botte f
blanket = couverture f
sword = épée f
bell = cloche f
flag = drapeau m
""",
    )
    + nouns(
        "missile",
        """
ball = ballon m
stone = pierre f
""",
    )
    + nouns(
        "breakable",
        """
cup = tasse f
glass = verre m
plate = assiette f
mirror = miroir m
bottle = bouteille f
clock = horloge f
""",
    )
)
FURNITURE = nouns(
    "furniture",
    """
table = table f
chair = chaise f
bed = lit m
armchair = fauteuil m
wardrobe = armoire f
bench = banc m
desk = bureau m
shelf/shelves = étagère f
carpet = tapis m
sofa = canapé m
""",
)
OPENINGS = nouns(
    "opening",
    """
door = porte f
window = fenêtre f
""",
)
BUILDINGS = nouns(
    "building",
    """
castle = château m
church = église f
school = école f
farm = ferme f
mill = moulin m
tower = tour f
bridge = pont m
shop = magasin m
library = bibliothèque f
museum = musée m
theatre = théâtre m
hotel = hôtel m
bakery = boulangerie f
station = gare f
restaurant = restaurant m
house = maison f
""",
)
NATURE = nouns(
    "nature",
    """
garden = jardin m
forest = forêt f
mountain = montagne f
river = rivière f
lake = lac m
island = île f
field = champ m
valley = vallée f
beach = plage f
park = parc m
village = village m
town = ville f
market = marché m
street = rue f
harbour = port m
kitchen = cuisine f
cave = grotte f
tree = arbre m
""",
)

BY_ENGLISH = {
    noun.en: noun
    for noun in [
        *PEOPLE,
        *ANIMALS,
        *FOODS,
        *DISHES,
        *DRINKS,
        *READINGS,
        *CONTAINERS,
        *THINGS,
        *FURNITURE,
        *OPENINGS,
        *BUILDINGS,
        *NATURE,
    ]
}

# Where things happen: the English and French preposition of each place.
LOCATIONS = [
    (english, french, BY_ENGLISH[word])
    for english, french, words in [
        (
            "in",
            "dans",
            "garden forest field valley park village town street kitchen cave castle church tower shop library house",
        ),
        ("at", "à", "market school station harbour theatre restaurant bakery farm museum hotel mill"),
        ("on", "sur", "beach island bridge mountain"),
    ]
    for word in words.split()
]
DESTINATIONS = [
    BY_ENGLISH[word]
    for word in (
        "market school church castle village bakery station library farm park beach lake river harbour museum theatre mill "
        "shop hotel restaurant"
    ).split()
]

NAMES = {
    "his": "Paul Louis Hugo Jules Tom Victor Antoine Pierre Lucas Simon Martin Gabriel Oscar Nicolas".split(),
    "her": "Marie Léa Emma Alice Anna Claire Chloé Sophie Julie Manon Inès Zoé Rose Jeanne".split(),
}

ANIMATE = frozenset({"person", "animal", "bird"})
PORTABLE = frozenset({"reading", "container", "thing", "missile", "breakable"})
EDIBLE = frozenset({"food", "dish"})
SOLID = PORTABLE | {"furniture", "opening"}
PLACES = frozenset({"building", "nature"})


def adjectives(before: bool, kinds: frozenset[str], table: str) -> list[Adjective]:
    """Lines of `english [comparative] = masculine [feminine [masculine plural [feminine plural]]]`, commas between."""
    found = []
    for line in table.strip().splitlines():
        english, french = (side.strip() for side in line.split("="))
        en, *comparative = (word.strip() for word in english.split(","))
        masculine, *rest = (word.strip() for word in french.split(","))
        feminine = rest[0] if rest else masculine if masculine.endswith("e") else masculine + "e"
        plural = rest[1] if len(rest) > 1 else french_plural(masculine)
        found.append(
            Adjective(
                en, comparative[0] if comparative else "", (masculine, feminine, plural, feminine + "s"), before, kinds
            )
        )
    return found


ADJECTIVES = [
    *adjectives(
        True,
        ANIMATE | PORTABLE | PLACES | {"food", "furniture", "opening"},
        """
small, smaller = petit
big, bigger = grand
beautiful, more beautiful = beau, belle, beaux
old, older = vieux, vieille, vieux
""",
    ),
    *adjectives(True, ANIMATE, "young, younger = jeune"),
    *adjectives(True, SOLID | {"building"}, "new, newer = nouveau, nouvelle, nouveaux"),
    *adjectives(True, EDIBLE | {"drink"}, "good = bon, bonne\nbad = mauvais"),
    *adjectives(
        False,
        SOLID | {"building", "bird"},
        """
red = rouge
blue = bleu, bleue, bleus
green = vert
yellow = jaune
black = noir
white = blanc, blanche
grey = gris
pink = rose
purple = violet, violette
""",
    ),
    *adjectives(
        False,
        ANIMATE,
        """
happy, happier = heureux, heureuse
sad, sadder = triste
tired = fatigué
kind, kinder = gentil, gentille
clever, cleverer = intelligent
brave, braver = courageux, courageuse
shy, shyer = timide
lazy, lazier = paresseux, paresseuse
strong, stronger = fort
slow, slower = lent
fast, faster = rapide
curious, more curious = curieux, curieuse
hidden = caché
""",
    ),
    *adjectives(
        False,
        frozenset({"person"}),
        """
rich, richer = riche
famous, more famous = célèbre
polite, more polite = poli
""",
    ),
    *adjectives(False, EDIBLE, "sweet, sweeter = sucré\nfresh, fresher = frais, fraîche, frais"),
    *adjectives(False, frozenset({"dish", "drink"}), "hot, hotter = chaud\ncold, colder = froid"),
    *adjectives(
        False,
        PORTABLE | {"furniture"},
        """
heavy, heavier = lourd
light, lighter = léger, légère
round, rounder = rond
clean, cleaner = propre
dirty, dirtier = sale
precious, more precious = précieux, précieuse
magic = magique
expensive, more expensive = cher, chère
broken = cassé
lost = perdu
""",
    ),
    *adjectives(False, frozenset({"container"}), "empty = vide\nfull = plein"),
    *adjectives(
        False,
        PLACES,
        """
quiet, quieter = tranquille
dark, darker = sombre
modern, more modern = moderne
distant = lointain
""",
    ),
]

IMPERFECT = ("ais", "ais", "ait", "ions", "aient")
FUTURE = ("ai", "as", "a", "ons", "ont")


def verb(line: str) -> Verb:
    """`base, third, past = infinitive [; je tu il nous ils ; future stem ; participle] [; être]`.

    Without forms: a verb of the first group. The English third person may be left out, and so may a regular past.
    """
    english, french = (side.strip() for side in line.split("="))
    head, *more = (word.strip() for word in english.split(","))
    base, _, particle = head.partition(" ")
    third = base + ("es" if base.endswith(("s", "sh", "ch", "x", "o")) else "s")
    if base.endswith("y") and base[-2] not in "aeou":
        third = base[:-1] + "ies"
    past = more[0] if more else base + ("d" if base.endswith("e") else "ed")
    third, past = (f"{word} {particle}".strip() for word in (third, past))
    infinitive, *forms = (part.strip() for part in french.split(";"))
    with_être = bool(forms) and forms[-1] == "être"
    forms = forms[:-1] if with_être else forms
    if forms:
        present = tuple(forms[0].split(" "))
        stem, participle = forms[1], forms[2]
        first_group = infinitive.endswith("er") and infinitive != "aller"
    else:
        root, first_group = infinitive[:-2], True
        soft = root[:-1] + "ç" if root.endswith("c") else root + "e" if root.endswith("g") else root
        present = (root + "e", root + "es", root + "e", soft + "ons", root + "ent")
        stem, participle = infinitive, root + "é"
    plural = present[3][:-3]
    imperfect = tuple((infinitive[:-2] if ending == "ions" and not forms else plural) + ending for ending in IMPERFECT)
    imperative = present[1][:-1] if first_group or infinitive in ("ouvrir", "offrir", "aller") else present[1]
    return Verb(
        head,
        third,
        past,
        infinitive,
        present,
        imperfect,
        tuple(stem + ending for ending in FUTURE),
        participle,
        with_être,
        imperative,
    )


def verbs(table: str) -> list[Verb]:
    return [verb(line) for line in table.strip().splitlines()]


# What a living being does alone.
ALONE = verbs("""
sleep, slept = dormir ; dors dors dort dormons dorment ; dormir ; dormi
sing, sang = chanter
dance = danser
laugh = rire ; ris ris rit rions rient ; rir ; ri
cry, cried = pleurer
work = travailler
play = jouer
swim, swam = nager
run, ran = courir ; cours cours court courons courent ; courr ; couru
walk = marcher
jump = sauter
smile = sourire ; souris souris sourit sourions sourient ; sourir ; souri
dream = rêver
wait = attendre ; attends attends attend attendons attendent ; attendr ; attendu
shout = crier
travel, travelled = voyager
fall, fell = tomber ; tombe tombes tombe tombons tombent ; tomber ; tombé ; être
stay = rester ; reste restes reste restons restent ; rester ; resté ; être
""")
FLY = verb("fly, flew = voler")
# Towards a place, with "to" and "à".
TOWARDS = verbs("""
go, went = aller ; vais vas va allons vont ; ir ; allé ; être
return = retourner ; retourne retournes retourne retournons retournent ; retourner ; retourné ; être
""")
# With an object, and the kinds of objects.
WITH_OBJECT = [
    (verb(line), kinds)
    for kinds, lines in [
        (
            EDIBLE,
            """
eat, ate = manger
prepare = préparer
""",
        ),
        (frozenset({"drink"}), "drink, drank = boire ; bois bois boit buvons boivent ; boir ; bu"),
        (frozenset({"reading"}), "read, read = lire ; lis lis lit lisons lisent ; lir ; lu"),
        (
            ANIMATE | PORTABLE | PLACES | {"furniture"},
            """
see, saw = voir ; vois vois voit voyons voient ; verr ; vu
look at = regarder
admire = admirer
draw, drew = dessiner
love = aimer
""",
        ),
        (
            ANIMATE | PORTABLE,
            """
look for = chercher
find, found = trouver
hide, hid = cacher
""",
        ),
        (
            PORTABLE | EDIBLE,
            """
carry, carried = porter
take, took = prendre ; prends prends prend prenons prennent ; prendr ; pris
choose, chose = choisir ; choisis choisis choisit choisissons choisissent ; choisir ; choisi
buy, bought = acheter ; achète achètes achète achetons achètent ; achèter ; acheté
sell, sold = vendre ; vends vends vend vendons vendent ; vendr ; vendu
bring, brought = apporter
""",
        ),
        (
            PORTABLE,
            """
lose, lost = perdre ; perds perds perd perdons perdent ; perdr ; perdu
forget, forgot = oublier
""",
        ),
        (
            frozenset({"opening", "container"}),
            """
open = ouvrir ; ouvre ouvres ouvre ouvrons ouvrent ; ouvrir ; ouvert
close = fermer
""",
        ),
        (
            SOLID,
            """
clean = nettoyer ; nettoie nettoies nettoie nettoyons nettoient ; nettoier ; nettoyé
repair = réparer
""",
        ),
        (frozenset({"breakable"}), "break, broke = casser"),
        (frozenset({"missile"}), "throw, threw = lancer"),
        (frozenset({"food", "dish"}), "cut, cut = couper"),
        (
            ANIMATE,
            """
follow = suivre ; suis suis suit suivons suivent ; suivr ; suivi
help = aider
wait for = attendre ; attends attends attend attendons attendent ; attendr ; attendu
meet, met = rencontrer
call = appeler ; appelle appelles appelle appelons appellent ; appeller ; appelé
hear, heard = entendre ; entends entends entend entendons entendent ; entendr ; entendu
thank = remercier
""",
        ),
        (
            PLACES,
            """
visit = visiter
leave, left = quitter
cross = traverser
""",
        ),
    ]
    for line in lines.strip().splitlines()
]
# Something to somebody.
GIVING = verbs("""
give, gave = donner
show = montrer
send, sent = envoyer ; envoie envoies envoie envoyons envoient ; enverr ; envoyé
lend, lent = prêter
sell, sold = vendre ; vends vends vend vendons vendent ; vendr ; vendu
offer = offrir ; offre offres offre offrons offrent ; offrir ; offert
""")
WANT = verb("want = vouloir ; veux veux veut voulons veulent ; voudr ; voulu")
CAN = verb("can, could = pouvoir ; peux peux peut pouvons peuvent ; pourr ; pu")
MUST = verb("must, had to = devoir ; dois dois doit devons doivent ; devr ; dû")
BE = Verb(
    "be",
    "is",
    "was",
    "être",
    ("suis", "es", "est", "sommes", "sont"),
    ("étais", "étais", "était", "étions", "étaient"),
    ("serai", "seras", "sera", "serons", "seront"),
    "été",
    False,
    "sois",
)
HAVE = Verb(
    "have",
    "has",
    "had",
    "avoir",
    ("ai", "as", "a", "avons", "ont"),
    ("avais", "avais", "avait", "avions", "avaient"),
    ("aurai", "auras", "aura", "aurons", "auront"),
    "eu",
    False,
    "aie",
)

# What one is in English and has in French.
FEELINGS = [
    ("hungry", "faim"),
    ("thirsty", "soif"),
    ("cold", "froid"),
    ("hot", "chaud"),
    ("sleepy", "sommeil"),
    ("afraid", "peur"),
]
# it is, it was, it will: English and French.
WEATHER = [
    (("it is raining", "it was raining", "it will rain"), ("il pleut", "il pleuvait", "il pleuvra")),
    (("it is snowing", "it was snowing", "it will snow"), ("il neige", "il neigeait", "il neigera")),
    (("it is hot", "it was hot", "it will be hot"), ("il fait chaud", "il faisait chaud", "il fera chaud")),
    (("it is cold", "it was cold", "it will be cold"), ("il fait froid", "il faisait froid", "il fera froid")),
    (
        ("the weather is nice", "the weather was nice", "the weather will be nice"),
        ("il fait beau", "il faisait beau", "il fera beau"),
    ),
    (
        ("the sun is shining", "the sun was shining", "the sun will shine"),
        ("le soleil brille", "le soleil brillait", "le soleil brillera"),
    ),
    (("it is late", "it was late", "it will be late"), ("il est tard", "il était tard", "il sera tard")),
]

# When, for each tense.
ALWAYS = [
    ("in the morning", "le matin"),
    ("in the evening", "le soir"),
    ("at night", "la nuit"),
    ("after lunch", "après le déjeuner"),
    ("before dinner", "avant le dîner"),
    ("at noon", "à midi"),
    ("at midnight", "à minuit"),
    ("in summer", "en été"),
    ("in winter", "en hiver"),
    ("in spring", "au printemps"),
    ("in autumn", "en automne"),
]
DAYS = [
    ("Monday", "lundi"),
    ("Tuesday", "mardi"),
    ("Wednesday", "mercredi"),
    ("Thursday", "jeudi"),
    ("Friday", "vendredi"),
    ("Saturday", "samedi"),
    ("Sunday", "dimanche"),
]
WHEN = {
    "present": [
        *ALWAYS,
        ("today", "aujourd'hui"),
        ("now", "maintenant"),
        ("every day", "tous les jours"),
        *((f"every {english}", f"chaque {french}") for english, french in DAYS),
    ],
    "past": [
        *ALWAYS,
        ("yesterday", "hier"),
        ("last week", "la semaine dernière"),
        ("this morning", "ce matin"),
        *((f"last {english}", f"{french} dernier") for english, french in DAYS),
    ],
    "future": [
        *ALWAYS,
        ("tomorrow", "demain"),
        ("next week", "la semaine prochaine"),
        ("tonight", "ce soir"),
        *((f"next {english}", f"{french} prochain") for english, french in DAYS),
    ],
}
HOW = [
    ("slowly", "lentement"),
    ("quickly", "rapidement"),
    ("quietly", "doucement"),
    ("happily", "joyeusement"),
    ("sadly", "tristement"),
    ("without help", "sans aide"),
    ("carefully", "avec soin"),
]
NUMBERS = [
    ("two", "deux"),
    ("three", "trois"),
    ("four", "quatre"),
    ("five", "cinq"),
    ("six", "six"),
    ("seven", "sept"),
    ("eight", "°huit"),
    ("nine", "neuf"),
    ("ten", "dix"),
    ("twelve", "douze"),
    ("twenty", "vingt"),
]
OFTEN = [("often", "souvent"), ("always", "toujours"), ("sometimes", "parfois"), ("rarely", "rarement")]
# What is said, thought and known: with "that" and "que".
SAYING = verbs("""
say, said = dire ; dis dis dit disons disent ; dir ; dit
think, thought = penser
know, knew = savoir ; sais sais sait savons savent ; saur ; su
""")
# Where one thing is beside another.
BESIDE = [
    ("under", "sous"),
    ("behind", "derrière"),
    ("in front of", "devant"),
    ("near", "près de~"),
    ("next to", "à côté de~"),
]
