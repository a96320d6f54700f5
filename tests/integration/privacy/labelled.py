"""Generated values, labelled with their type of personal data, to measure detection. Equal seeds give equal values."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Mapping

from lake.privacy.identifiers import is_cnpj, is_cpf

NOTHING = "nothing"
Generate = Callable[[random.Random], str]


def labelled(seed: int = 1, count: int = 60) -> dict[str, list[str]]:
    """``count`` values of each type of ``TYPES``, and an equal total of values of ``NOTHING``."""
    rng = random.Random(seed)
    found = {kind: [generate(rng) for _ in range(count)] for kind, generate in TYPES.items()}
    plain = list(PLAIN.values())
    return found | {NOTHING: [plain[number % len(plain)](rng) for number in range(count * len(TYPES))]}


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice(string.digits) for _ in range(count))


def _email(rng: random.Random) -> str:
    return f"{rng.choice(_NAMES)}.{rng.choice(_NAMES)}{_digits(rng, 2)}@{rng.choice(('example.com', 'mail.example.org', 'beer.com.br'))}"


def _phone(rng: random.Random) -> str:
    area = rng.choice(("212", "415", "503", "617"))
    return rng.choice((f"+1 {area}-55{rng.randint(5, 9)}-{_digits(rng, 4)}", f"({area}) 66{rng.randint(2, 9)}-{_digits(rng, 4)}"))


def _ssn(rng: random.Random) -> str:
    return f"{rng.randint(101, 665)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}"


def _luhn(rng: random.Random) -> str:
    body = rng.choice("45") + ("1" if rng.random() < 0.5 else "3") + _digits(rng, 13)
    doubled = [int(d) * (2 if place % 2 == 0 else 1) for place, d in enumerate(body)]
    return body + str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


def _card(rng: random.Random) -> str:
    number = _luhn(rng)
    return rng.choice((number, "-".join(number[i : i + 4] for i in range(0, 16, 4))))


def _iban(rng: random.Random) -> str:
    country, bank = rng.choice((("DE", _digits(rng, 18)), ("ES", _digits(rng, 20))))
    letters = "".join(str(ord(mark) - 55) if mark.isalpha() else mark for mark in bank + country + "00")
    return f"{country}{98 - int(letters) % 97:02d}{bank}"


def _ip(rng: random.Random) -> str:
    return ".".join(str(rng.randint(1, 254)) for _ in range(4))


def _mac(rng: random.Random) -> str:
    return ":".join(f"{rng.randint(0, 255):02x}" for _ in range(6))


def _access_key(rng: random.Random) -> str:
    return "AKIA" + "".join(rng.choice(string.ascii_uppercase + string.digits) for _ in range(16))


def _nino(rng: random.Random) -> str:
    return f"{rng.choice('ABCEGHJ')}{rng.choice('ABCEGHJ')} {_digits(rng, 2)} {_digits(rng, 2)} {_digits(rng, 2)} {rng.choice('ABCD')}"


def _pan(rng: random.Random) -> str:
    letters = "".join(rng.choice(string.ascii_uppercase) for _ in range(3))
    return f"{letters}P{rng.choice(string.ascii_uppercase)}{_digits(rng, 4)}{rng.choice(string.ascii_uppercase)}"


def _itin(rng: random.Random) -> str:
    return f"9{_digits(rng, 2)}-{rng.randint(70, 88)}-{_digits(rng, 4)}"


def _passport(rng: random.Random) -> str:
    return f"passport {rng.choice(string.ascii_uppercase)}{_digits(rng, 8)}"


def _pin(rng: random.Random) -> str:
    return f"my pin is {_digits(rng, 4)}"


def _checked(rng: random.Random, length: int, is_right: Callable[[str], bool]) -> str:
    body = _digits(rng, length - 2)
    return next(text for check in range(100) if is_right(text := f"{body}{check:02d}"))


def _cpf(rng: random.Random) -> str:
    d = _checked(rng, 11, is_cpf)
    return rng.choice((d, f"{d[:3]}.{d[3:6]}.{d[6:9]}-{d[9:]}"))


def _cnpj(rng: random.Random) -> str:
    d = _checked(rng, 14, is_cnpj)
    return rng.choice((d, f"{d[:2]}.{d[2:5]}.{d[5:8]}/{d[8:12]}-{d[12:]}"))


_NAMES = ("ana", "bruno", "carla", "diego", "elena", "felix", "gita", "hugo", "ines", "joao")
_WORDS = ("amber", "barrel", "citrus", "dark", "earthy", "finish", "grain", "hazy", "imperial", "juicy", "keg", "lager", "malt", "nutty")

TYPES: Mapping[str, Generate] = {
    "EMAIL": _email,
    "PHONE": _phone,
    "SSN": _ssn,
    "CREDIT_DEBIT_NUMBER": _card,
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER": _iban,
    "IP_ADDRESS": _ip,
    "MAC_ADDRESS": _mac,
    "AWS_ACCESS_KEY": _access_key,
    "UK_NATIONAL_INSURANCE_NUMBER": _nino,
    "IN_PERMANENT_ACCOUNT_NUMBER": _pan,
    "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER": _itin,
    "PASSPORT_NUMBER": _passport,
    "PIN": _pin,
    "CPF": _cpf,
    "CNPJ": _cnpj,
}
"""Entity types by name: Comprehend's, then those that lake/ detects itself."""

PLAIN: Mapping[str, Generate] = {
    "review": lambda rng: " ".join(rng.choice(_WORDS) for _ in range(rng.randint(3, 8))),
    "batch": lambda rng: f"batch {rng.choice(string.ascii_uppercase)}-{_digits(rng, 5)}",
    "volume": lambda rng: f"{rng.randint(10, 999)}.{rng.randint(0, 9)} hl",
    "number": lambda rng: str(rng.randint(1, 9_999_999)),
    "identifier": lambda rng: "".join(rng.choice(string.ascii_lowercase) for _ in range(10)),
    "wrong tax number": lambda rng: f"{_digits(rng, 9)}00" if rng.random() < 0.5 else f"{_digits(rng, 12)}00",
}
"""Values that are not personal data. Some resemble it: numbers, codes, and tax numbers with wrong check digits."""
