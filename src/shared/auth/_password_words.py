"""What attackers try first.

Stems only: case, digits around them, ``p4ssw0rd`` spelling and doubling are undone before
the look-up, so each stands for thousands of passwords.
"""

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["is_common"]

_WORDS: Final = frozenset(
    """
    aaaaaa abc abcabc abcd abcde abcdef abcdefg abcdefgh access account adidas admin administrator alexander
    alexandra alexis amanda america amerika anderson andrea andreas andrew angel angela anthony apache apple
    april archie arsenal arthur asdasd asdf asdfasdf asdfgh asdfghjk asdfghjkl asdfjkl ashley august austin
    autumn azerty bailey bambam banana bandit barbara barcelona barney baseball basketball batman beautiful
    benjamin berlin beyonce bigdaddy bigdog biteme blahblah blink boomer bonjour boston brandon brandy
    bulldog buster butterfly california cameron canada carlos carolina casper charles charlie cheese chelsea
    chester chicago chicken chocolate chris christian christopher cocacola coffee computer cookie copper
    corvette cowboy cowboys daniel database december default diablo diamond dolphin donald dragon eagle
    eagles elephant elizabeth eminem energy england enter facebook fairy falcon family february ferrari
    fishing flower flowers football ford forever france freedom friday friend friends fuckoff fuckyou galaxy
    gandalf garfield gateway george gfhjkm ginger golden google gordon guest guitar hahaha hallo hammer
    hannah hardcore harley harrypotter heather hello hellokitty helpme hockey honda hotmail hunter iceman
    iloveyou india inferno internet iwantu jackson jaguar james january jasmine jennifer jeremy jessica
    jesus johnny johnson jonathan jordan joseph joshua july june junior justin kawasaki killer kitten knight
    konrad lakers letmein liverpool london loveme lovely lover loveyou lucky maggie manager manchester march
    marina marlboro martin master matrix matthew maverick melissa mercedes merlin metallica michael
    michelle michigan mickey midnight miller minecraft mobile monday money monica monkey monster morgan
    mother motorola mountain muffin murphy mustang myspace naruto nascar natasha nicholas nicole nicolas
    ninja nintendo nirvana nissan november october oliver oracle orange packers panther paris pass passwd
    passw passwort password passe patrick peanut pepper perfect phoenix player please pokemon porsche power
    princess private purple qazwsx qazwsxedc qwer qwert qwerty qwertyu qwertyui qwertyuiop qwertz rabbit
    rachel raiders rainbow ranger rangers rebecca redsox redskins richard robert rocket ronaldo root
    rosebud runner samantha samsung samson saturday scooter scorpion scotland secret security september
    server service shadow shannon sierra silver simple skywalker slayer smokey snoopy soccer sparky spider
    spiderman spring stalker startrek starwars steelers stephanie steven summer sunday sunshine superman
    superstar superuser support swordfish tennis tequila test tester testing texas thomas thunder thursday
    thx tiger tigger toor toyota trinity trustno tuesday tucker turtle united user vampire vanessa veronica
    victoria victor viking virginia voyager warcraft warrior wednesday welcome whatever whatsapp william
    willow wilson winner winter wizard xavier xxxxxx yamaha yankee yankees yellow zaq zaqwsx zxcv zxcvbn
    zxcvbnm changeme changeit letmein login temp temppass demo sample example foobar foo bar geheim
    hallowelt motdepasse contrasena senha parola haslo heslo salasana losenord wachtwoord sifre
    """.split()  # noqa: SIM905 - a list of words reads better as text
)
_RUNS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn",
    "1q2w3e4r5t6y7u8i9o0p",
    "!@#$%^&*()",
)
_LEET: Final = str.maketrans("@431!0$57", "aaeiiosst")
_EDGES: Final = re.compile(r"^[\W\d_]+|[\W\d_]+$")


def is_common(folded: str) -> bool:
    """Tell whether the case-folded password is one that attackers try first."""
    if len(set(folded)) <= 2:
        return True
    if any(_unit(spelling) in _WORDS for spelling in _spellings(folded)):
        return True
    unit = _unit(folded)
    return any(
        folded in run * 2 or folded in run[::-1] * 2 or (len(unit) >= 3 and unit in run) for run in _RUNS
    )


def _spellings(folded: str) -> Iterator[str]:
    stem = _EDGES.sub("", folded)
    read = folded.translate(_LEET)
    yield from (folded, stem, read, _EDGES.sub("", read), stem.translate(_LEET))


def _unit(word: str) -> str:
    """Return what *word* repeats: ``"passpass"`` says no more than ``"pass"``."""
    # A word that is a repetition occurs in its own double before the end of the first half.
    period = (word + word).find(word, 1)
    return word[:period] if 0 < period < len(word) else word
