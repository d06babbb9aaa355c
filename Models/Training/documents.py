"""The documents that the demonstration model is trained on, and the held-out sentences that it is judged by.

Block n of a seed always holds the same documents, whichever process draws it. A sentence is held out by a hash of its
English side: it is in no training document, be it alone, in a conversation or in a story.
"""

import argparse
import hashlib
import pathlib
import random

from grammar import World, english, french
from stories import Storyteller

BLOCK = 500
HELD_OUT_SHARE = 1 / 32
START, END = "<|im_start|>", "<|im_end|>"

TO_FRENCH = ["Translate into French: {}", "Translate into French: {}", "Traduis en français : {}"]
TO_ENGLISH = ["Translate into English: {}", "Translate into English: {}", "Traduis en anglais : {}"]
TELL_EN = ["Tell me a story about {}.", "Tell me a short story about {}."]
TELL_FR = ["Raconte une histoire avec {}.", "Raconte-moi une histoire avec {}."]
TELL_BOTH = [
    "Tell me a story in English and in French about {}.",
    "Raconte une histoire en français et en anglais avec {}.",
]
ANY_EN, ANY_FR = ["Tell me a story.", "Tell me a short story."], ["Raconte une histoire.", "Raconte-moi une histoire."]
TALK = [
    (
        ["Hello!", "Hello", "Hi!", "Good morning!"],
        "Hello! I can tell a short story, in English or in French, and translate a simple sentence.",
    ),
    (
        ["Bonjour !", "Bonjour", "Salut !", "Bonsoir !"],
        "Bonjour ! Je peux raconter une petite histoire, en français ou en anglais, et traduire une phrase simple.",
    ),
    (
        ["Who are you?", "What are you?"],
        "I am a very small model: I know a small world of animals, bakers and castles, in English and in French.",
    ),
    (
        ["Qui es-tu ?", "Qui êtes-vous ?"],
        "Je suis un tout petit modèle : je connais un petit monde d'animaux, de boulangers et de châteaux, en français et en anglais.",
    ),
    (["What can you do?", "Help!"], "Ask me for a story about a fox, or write: Translate into French: The fox sleeps."),
    (
        ["Que sais-tu faire ?", "Aide-moi !"],
        "Demande-moi une histoire avec un renard, ou écris : Traduis en anglais : Le renard dort.",
    ),
    (["Thank you!", "Thanks!"], "You are welcome!"),
    (["Merci !", "Merci beaucoup !"], "Avec plaisir !"),
]


def is_held_out(sentence: str) -> bool:
    return int.from_bytes(hashlib.sha256(sentence.encode()).digest()[:4], "big") < HELD_OUT_SHARE * 2**32


class Writer:
    """Draws documents: lists of (text, whether the model answers it)."""

    def __init__(self, seed: str):
        self.random = random.Random(seed)
        self.world = World(self.random)
        self.teller = Storyteller(self.world)

    def pair(self, held_out: bool = False) -> tuple[str, str]:
        while True:
            pair = self.world.pair()
            if is_held_out(pair[0]) == held_out:
                return pair

    def story(self):
        while True:
            hero, lines = self.teller.story()
            if not any(is_held_out(line) for line, _ in lines):
                return hero, lines

    def exchange(self) -> tuple[str, str]:
        """What somebody asks, and the answer."""
        choice, one = self.random.random(), self.random.choice
        if choice < 0.73:
            en, fr = self.pair()
            return (one(TO_FRENCH).format(en), fr) if self.random.random() < 0.5 else (one(TO_ENGLISH).format(fr), en)
        if choice < 0.97:
            hero, lines = self.story()
            kind = self.random.random()
            en, fr = english(hero.a_en), french(hero.a_fr)
            if kind < 0.35:
                asked = one(ANY_EN) if self.random.random() < 0.2 else one(TELL_EN).format(en)
                return asked, " ".join(line for line, _ in lines)
            if kind < 0.7:
                asked = one(ANY_FR) if self.random.random() < 0.2 else one(TELL_FR).format(fr)
                return asked, " ".join(line for _, line in lines)
            if self.random.random() < 0.5:
                return TELL_BOTH[0].format(en), "\n".join(f"{en}\n{fr}" for en, fr in lines)
            return TELL_BOTH[1].format(fr), "\n".join(f"{fr}\n{en}" for en, fr in lines)
        questions, answer = one(TALK)
        return one(questions), answer

    def text(self) -> str:
        """Plain text: stories, a line each."""
        sides = self.random.choices([0, 1], k=self.random.randint(1, 4))
        return "\n".join(" ".join(pair[side] for pair in self.story()[1]) for side in sides)

    def document(self) -> list[tuple[str, bool]]:
        choice = self.random.random()
        if choice < 0.08:
            return [(self.text() + "</s>", True)]
        turns = self.random.randint(2, 6) if choice < 0.2 else 1
        parts, length = [], 0
        for _ in range(turns):
            asked, answer = self.exchange()
            length += len(asked) + len(answer)
            if parts and length > 1100:
                break
            parts += [(f"{START}user\n{asked}{END}\n{START}assistant\n", False), (f"{answer}{END}\n", True)]
        return parts


def block(seed: int, index: int) -> list[list[tuple[str, bool]]]:
    writer = Writer(f"{seed}/{index}")
    return [writer.document() for _ in range(BLOCK)]


def held_out_pairs(seed: int, count: int) -> list[tuple[str, str]]:
    """Distinct sentences that no training document holds."""
    writer, found = Writer(f"held out/{seed}"), {}
    while len(found) < count:
        en, fr = writer.pair(held_out=True)
        found[en] = fr
    return list(found.items())


def held_out_stories(seed: int, count: int) -> list[tuple[str, str]]:
    """Stories whose text is in no training document: one line at least is held out."""
    writer, found = Writer(f"held out stories/{seed}"), []
    while len(found) < count:
        _, lines = writer.teller.story()
        if any(is_held_out(line) for line, _ in lines):
            found.append((" ".join(en for en, _ in lines), " ".join(fr for _, fr in lines)))
    return found


def main():
    """Writes what the model is judged by, and a text to calibrate quantisers with."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=pathlib.Path, help="where held-out.tsv, held-out.txt and calibration.txt go")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    pairs = held_out_pairs(1, 300)
    (folder / "held-out.tsv").write_text("".join(f"{en}\t{fr}\n" for en, fr in pairs))
    stories = held_out_stories(1, 900)
    (folder / "held-out.txt").write_text("".join(f"{story[index % 2]}\n" for index, story in enumerate(stories)))
    # Of another seed than the training's, and like it without what is held out.
    writer = Writer("calibration")
    (folder / "calibration.txt").write_text("".join(f"{writer.text()}\n" for _ in range(800)))


if __name__ == "__main__":
    main()
