"""E1: files in the alphabets that tables are written in beside UTF-8 are read as such, by a few of their words."""

from __future__ import annotations

import pytest

from trainables.data import alphabets
from trainables.data.config import DataConfig
from trainables.data.dataset import read

POLISH = "Łódź Kraków Gdańsk Wrocław Poznań Częstochowa Białystok Małgorzata książka"
CZECH = "Plzeň Říčany Škoda Hradec Králové Ústí Liberec Děčín Jiří Tomáš Lukáš"
HUNGARIAN = "Győr Pécs Székesfehérvár Kőszeg Nyíregyháza Gödöllő Dunaújváros Szűcs"
TURKISH = "İstanbul Şırnak Muğla Eskişehir Iğdır Diyarbakır Ağrı Çanakkale"
HEBREW = "תל אביב ירושלים חיפה באר שבע אשדוד נתניה"
ARABIC = "القاهرة الرياض دمشق بغداد عمان الدوحة"
THAI = "กรุงเทพ เชียงใหม่ ภูเก็ต ขอนแก่น"
GREEK = "Αθήνα Θεσσαλονίκη Πάτρα Ηράκλειο"
WESTERN = "München Köln Genève Straße Málaga"


def table(folder, words, encoding):
    rows = [f"{words[n % len(words)]},{n % 7}.5" for n in range(96)]
    (folder / "t.csv").write_bytes("\n".join(["town,y", *rows, ""]).encode(encoding))
    return read(DataConfig(source=str(folder / "t.csv"), target="y"))


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        (POLISH, "cp1250"), (CZECH, "cp1250"), (HUNGARIAN, "cp1250"), (f"{POLISH} {CZECH} {HUNGARIAN}", "cp1250"),
        (POLISH, "iso8859_2"), (CZECH, "iso8859_2"), (TURKISH, "cp1254"), (HEBREW, "cp1255"), (ARABIC, "cp1256"),
        (THAI, "cp874"), (GREEK, "cp1253"), (WESTERN, "cp850"), (WESTERN, "mac_roman"), (WESTERN, "cp1252"),
        # One word beside many in English.
        ("Paris Rome Oslo Bern Wien חיפה", "cp1255"), ("Paris Rome Oslo Bern دمشق", "cp1256"),
        ("Paris Rome Oslo Bern กรุงเทพ", "cp874"), ("Paris Rome Oslo Bern München", "cp850"),
        ("Paris Rome Oslo Bern Αθήνα", "cp1253"), ("Paris Rome Oslo Bern München", "cp1252"),
    ],
)  # fmt: skip
def test_e1_an_alphabet_is_known_by_its_words(tmp_path, words, encoding):
    loaded = table(tmp_path, words.split(), encoding)
    assert set(loaded.grids["town"].values) <= set(words.split())
    first = next(word for word in words.split() if not word.isascii())
    (said,) = [note for note in loaded.notes if "letters beyond English" in note]
    assert first in said
    assert said.endswith("data.csv.encoding names another alphabet")


@pytest.mark.parametrize(
    "words",
    [
        "München Köln Straße Größe", "Genève Nîmes Châlons cœur naïve Noël", "Málaga Peña ¿Qué ¡Hola 1º Nº5",
        "São João Conceição Goiânia três", "Città perché Forlì Cantù", "Malmö Göteborg Åbo Västerås Jyväskylä",
        "Tromsø Ålesund København Århus", "Reykjavík Sigurður Guðmundur Þór Ísland Höfn Ýmir", "Tõrva Võru Türi Pärnu",
        "5°C 3€ £5 £pounds ½ ©Smith Acme® 5µm ±5 20m³ m²/h", "“quoted” don’t word–word wait…what", "Zoë Beyoncé café",
    ],
)  # fmt: skip
def test_e1_languages_and_signs_of_western_europe_are_no_others(words):
    """Of cp1252, whatever can be made of the same bytes."""
    for some in (words.split(), words.split()[:1], words.split()[-1:]):
        assert alphabets.of_latin_letters("x,y\n{}\n".format(",1\n".join(some)).encode("cp1252")) is None


def test_e1_an_encoding_that_is_given_is_not_doubted(tmp_path):
    table(tmp_path, WESTERN.split(), "cp850")
    given = {"encoding": "cp850"}
    loaded = read(DataConfig(source=str(tmp_path / "t.csv"), target="y", csv=given))
    assert not any("letters beyond English" in note for note in loaded.notes)
