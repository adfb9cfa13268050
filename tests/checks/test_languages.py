"""The language of a text if it is certain, and no verdict otherwise."""

import pytest

from axolotl_synthetic.checks.languages import language_of, surely_not

SAID = {
    "en": "There are six jars with ten cards each, so there are sixty cards in total. The answer is sixty.",
    "de": "Sechs Gläser mit je zehn Karten ergeben zusammen sechzig Karten. Also lautet die Antwort: sechzig Karten insgesamt.",
    "fr": "Il y a six bocaux avec dix cartes chacun, donc il y a soixante cartes au total. La réponse est soixante.",
    "es": "Hay seis frascos con diez tarjetas cada uno, así que en total hay sesenta tarjetas. La respuesta es sesenta.",
    "pl": "Jest sześć słoików, w każdym po dziesięć kart, więc razem jest sześćdziesiąt kart. Odpowiedź to sześćdziesiąt.",
    "ru": "Шесть банок по десять карточек в каждой, значит всего шестьдесят карточек. Ответ: шестьдесят карточек.",
    "zh": "有六个罐子，每个罐子里有十张卡片，所以一共有六十张卡片。答案是六十张卡片，因为六乘以十等于六十。",
    "ja": "六つの瓶にそれぞれ十枚のカードが入っているので、全部で六十枚のカードがあります。答えは六十枚です。",
    "ar": "هناك ستة أوعية في كل منها عشر بطاقات، لذلك هناك ستون بطاقة في المجموع. الجواب هو ستون.",
    "hi": "छह जार हैं और हर जार में दस कार्ड हैं, इसलिए कुल मिलाकर साठ कार्ड हैं। उत्तर साठ है।",
    "vi": "Có sáu lọ, mỗi lọ có mười tấm thẻ, vì vậy tổng cộng có sáu mươi tấm thẻ. Đáp án là sáu mươi.",
}


@pytest.mark.parametrize("language", SAID)
def test_two_sentences_are_enough(language):
    assert language_of(SAID[language]) == language
    assert surely_not(SAID[language], language) is None


@pytest.mark.parametrize("language", [language for language in SAID if language != "en"])
def test_another_language_is_recognised_both_ways(language):
    assert surely_not(SAID[language], "en") == language
    assert surely_not(SAID["en"], language) == "en"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ja.",
        "60",
        "#### 72",
        "48/2 = 24\n48 + 24 = 72",
        "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune Pluto Ceres Titan Ganymede Europa",
        "aaaaaa aaaaaaa aaaaaa aaaaaa aaaa aaaa aaa aaa aaaaaaa aaaaa aaaaaa aaa",
        "SELECT name, country FROM singer WHERE age > (SELECT avg(age) FROM singer) ORDER BY name DESC",
    ],
)
def test_names_formulas_and_short_texts_are_in_no_language(text):
    assert language_of(text) is None
    assert surely_not(text, "en") is None
    assert surely_not(text, "fr") is None


def test_a_mixed_text_is_not_held_to_be_in_either():
    assert surely_not(f"{SAID['en'][:90]} {SAID['de'][:60]}", "en") is None


def test_a_language_that_is_not_known_is_never_missing():
    assert surely_not(SAID["en"], "tlh") is None
