"""Scripts without spaces between words: verdicts are the same as for the same problems in English.

Each problem is written by hand in several languages. One English word corresponds to 1.7 characters of Chinese, 2.3 of Japanese and 2.7
letters of Thai, with their signs.
"""

import pytest

from axolotl_synthetic.checks import decontamination, near_duplicate
from axolotl_synthetic.checks.decontamination import Options
from axolotl_synthetic.checks.words import Alike, SharedRuns, shingles
from axolotl_synthetic.records import Question, Seed

from candidates import KEEPS, MATH, SEED, candidate

# Ten problems of one kind, each filled in three ways: 30 that are as similar as those of a school book.
PROBLEMS = {
    "en": [
        "{who} has {a} boxes with {b} {things} in each of them. How many {things} does {who} have altogether?",
        "A shop sells {things} in bags of {a}. {who} buys {b} bags and pays with a note of 100. How many {things} does {who} have now?",
        "{who} had {a} {things} and gave {b} of them to a friend. How many {things} does {who} have left?",
        "There are {a} pupils in the class and each of them brings {b} {things}. How many {things} are there on the table?",
        "{who} reads for {a} minutes every day. How many minutes does {who} read in {b} weeks, and how many {things} is that worth?",
        "A lorry carries {a} crates of {things} each trip and makes {b} trips a day. How many crates of {things} does it carry in a week?",
        "{who} saves {a} coins a month to buy {things} for {b} coins. How many months does {who} have to save?",
        "The {things} cost {a} coins each, and whoever buys {b} of them gets one for nothing. How much does {who} pay for all of them?",
        "{who} and a friend share {a} {things}, and {who} gets {b} more. How many {things} does each of them get?",
        "On Monday {who} sold {a} {things}, and on Tuesday {b} times as many. How many {things} did {who} sell on both days together?",
    ],
    "zh": [
        "{who}有{a}个盒子，每个盒子里都装着{b}个{things}。请问{who}现在一共有多少个{things}？",
        "一家商店按每袋{a}个出售{things}。{who}买了{b}袋，付了一张一百元的钞票。请问{who}现在有多少个{things}？",
        "{who}原来有{a}个{things}，把其中{b}个送给了一位朋友。请问{who}现在还剩下多少个{things}？",
        "班里一共有{a}名学生，每名学生都带来了{b}个{things}。请问桌子上现在一共有多少个{things}？",
        "{who}每天都要读{a}分钟的书。请问{who}在{b}个星期里一共要读多少分钟，这又相当于多少个{things}？",
        "一辆卡车每次运送{a}箱{things}，每天运送{b}次。请问这辆卡车一个星期一共可以运送多少箱{things}？",
        "{who}每个月都存下{a}个硬币，想用{b}个硬币买{things}。请问{who}一共需要存多少个月才够？",
        "这些{things}每个卖{a}个硬币，只要买{b}个就可以免费再得到一个。请问{who}买下全部一共要付多少个硬币？",
        "{who}和一位朋友一起分{a}个{things}，{who}比朋友多分到{b}个。请问他们两个人各自分到多少个{things}？",
        "{who}星期一卖出了{a}个{things}，星期二卖出的数量是星期一的{b}倍。请问{who}这两天一共卖出了多少个{things}？",
    ],
    "ja": [
        "{who}さんは箱を{a}個持っていて、それぞれの箱に{things}が{b}個入っています。{who}さんは全部で{things}を何個持っていますか。",
        "ある店では{things}を{a}個入りの袋で売っています。{who}さんは{b}袋買って千円札で払いました。{who}さんは今{things}を何個持っていますか。",
        "{who}さんは{things}を{a}個持っていて、そのうち{b}個を友だちにあげました。{who}さんの{things}は何個残っていますか。",
        "クラスには生徒が{a}人いて、一人ひとりが{things}を{b}個持ってきます。机の上には全部で{things}が何個ありますか。",
        "{who}さんは毎日{a}分間本を読みます。{b}週間では何分間読むことになり、それは{things}何個分になりますか。",
        "トラックは一回に{things}を{a}箱運び、一日に{b}回走ります。このトラックは一週間で{things}を何箱運ぶことができますか。",
        "{who}さんは{things}を買うために毎月{a}枚の硬貨をため、値段は{b}枚です。{who}さんは何か月ためなければなりませんか。",
        "{things}は一個{a}円で、{b}個買うと一個ただでもらえます。{who}さんは全部買うといくら払うことになりますか。",
        "{who}さんと友だちは{things}{a}個を分けて、{who}さんが{b}個多くもらいます。二人はそれぞれ{things}を何個もらいますか。",
        "{who}さんは月曜日に{things}を{a}個売り、火曜日にはその{b}倍売りました。二日間で{things}を合わせて何個売りましたか。",
    ],
    "th": [
        "{who}มีกล่อง {a} กล่อง และในแต่ละกล่องมี{things} {b} อัน {who}มี{things}ทั้งหมดกี่อัน",
        "ร้านค้าแห่งหนึ่งขาย{things}ถุงละ {a} อัน {who}ซื้อ {b} ถุง แล้วจ่ายด้วยธนบัตรหนึ่งร้อยบาท ตอนนี้{who}มี{things}กี่อัน",
        "{who}มี{things} {a} อัน แล้วให้เพื่อนไป {b} อัน {who}เหลือ{things}กี่อัน",
        "ในห้องเรียนมีนักเรียน {a} คน และแต่ละคนนำ{things}มา {b} อัน บนโต๊ะมี{things}ทั้งหมดกี่อัน",
        "{who}อ่านหนังสือวันละ {a} นาที ใน {b} สัปดาห์{who}อ่านหนังสือกี่นาที และเท่ากับ{things}กี่อัน",
        "รถบรรทุกคันหนึ่งขน{things}เที่ยวละ {a} ลัง และวิ่งวันละ {b} เที่ยว ในหนึ่งสัปดาห์รถคันนี้ขน{things}ได้กี่ลัง",
        "{who}ออมเงินเดือนละ {a} เหรียญ เพื่อซื้อ{things}ราคา {b} เหรียญ {who}ต้องออมเงินกี่เดือน",
        "{things}ราคาอันละ {a} เหรียญ และถ้าซื้อ {b} อันจะได้ฟรีหนึ่งอัน {who}ต้องจ่ายเงินทั้งหมดเท่าไร",
        "{who}กับเพื่อนแบ่ง{things} {a} อัน โดยที่{who}ได้มากกว่า {b} อัน แต่ละคนได้{things}กี่อัน",
        "วันจันทร์{who}ขาย{things}ได้ {a} อัน และวันอังคารขายได้ {b} เท่า สองวันรวมกัน{who}ขาย{things}ได้กี่อัน",
    ],
}
FILLINGS = {
    "en": [("Ada", "pencils"), ("Ben", "oranges"), ("Clara", "stamps")],
    "zh": [("小明", "铅笔"), ("李华", "橙子"), ("王芳", "邮票")],
    "ja": [("太郎", "えんぴつ"), ("花子", "オレンジ"), ("健一", "切手")],
    "th": [("สมชาย", "ดินสอ"), ("มาลี", "ส้ม"), ("วิชัย", "แสตมป์")],
}


def problems(language: str) -> list[Seed]:
    """Return 30 seeds; each third has the same filling, and no two have the same numbers."""
    texts = [
        pattern.format(who=who, things=things, a=11 + 3 * at + 40 * number, b=3 + at + 10 * number)
        for number, (who, things) in enumerate(FILLINGS[language])
        for at, pattern in enumerate(PROBLEMS[language])
    ]
    return [Seed(f"{language}-{number}", Question(text), "#### 1") for number, text in enumerate(texts)]


@pytest.mark.parametrize("language", PROBLEMS)
def test_problems_of_one_kind_give_none_of_the_others_away_whatever_the_script(language):
    seeds = problems(language)
    held_out, others = seeds[::3], [seed for at, seed in enumerate(seeds) if at % 3]
    judge = decontamination.make(MATH, KEEPS, Options(), held_out)
    refused = [judge(candidate("#### 1", seed=seed), seed).detail for seed in others]
    assert (len(refused), [detail for detail in refused if detail]) == (20, [])


@pytest.mark.parametrize("language", PROBLEMS)
def test_a_copy_is_found_whatever_the_script(language):
    seeds = problems(language)
    judge = decontamination.make(MATH, KEEPS, Options(), seeds[::3])
    for seed in seeds[::3]:
        # Put it in a longer text, so that the question is not similar as a whole.
        copy = candidate(f"{seeds[1].question.text} {seed.question.text}\n#### 1", "new_question", question=seeds[2].question.text)
        verdict = judge(copy, SEED)
        assert (verdict.passed, verdict.detail.split(":")[0]) == (False, f"it shares 13 words with the held-out seed {seed.id}")
        near = judge(candidate("#### 1", "new_question", question=seed.question.text.rstrip("？。?") + "!"), SEED)
        assert (near.passed, near.detail) == (False, f"its question is 100% like that of the held-out seed {seed.id}")


@pytest.mark.parametrize("language", PROBLEMS)
def test_problems_of_one_kind_are_no_near_duplicates_whatever_the_script(language):
    judge = near_duplicate.make(MATH, KEEPS)
    for seed in problems(language):
        made = candidate("#### 1", "new_question", question=seed.question.text)
        assert judge(made, SEED).passed is True, seed.question.text
        judge.remember(made)


# Worth of a run in words, counted by hand.

HAN, KANA, THAI = (
    "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁",
    "いろはにほへとちりぬるをわかよたれそつねならむうゐのおくやまけふこえて",
    "กขคงจฉชซญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ",
)


@pytest.mark.parametrize(("letters", "per_word"), [(HAN, 2), (KANA, 3), (THAI, 3)])
def test_a_run_is_found_from_the_length_on_that_is_worth_it(letters, per_word):
    shared = SharedRuns(5)
    shared.add("it", [f"x {letters} y"])
    enough = 5 * per_word
    for begins in (0, 1, 7):
        run = letters[begins : begins + enough]
        assert shared.find(f"6 {run} 7") == (run, "it")
        assert shared.find(f"6 {run[:-1]} 7") is None
        assert shared.find(f"6 {run[1:]} 7") is None


def test_words_and_characters_make_up_a_run_together():
    shared = SharedRuns(5)
    shared.add("it", [f"The jars of 小明 hold {HAN[:3]} cards each"])
    # of, 小明 (1 word), hold, 天地 (1 word): 4 words; 玄 makes 4.5 and `cards` 5.5.
    assert shared.find(f"jar of 小明 hold {HAN[:3]} pens") is None
    assert shared.find(f"jar of 小明 hold {HAN[:3]} cards!") == ("of 小明 hold 天地玄 cards", "it")
    # A run of plain words is found in a text that also has characters, and the other way round.
    shared.add("words", ["one two three four five six"])
    assert shared.find(f"{HAN} two three four five six") == ("two three four five six", "words")
    shared.add("both", [f"{HAN} seven eight nine ten eleven"])
    assert shared.find("seven eight nine ten eleven") == ("seven eight nine ten eleven", "both")


def test_runs_of_three_words_are_of_six_chinese_characters():
    assert shingles(HAN[:7]) == [" ".join(HAN[:6]), " ".join(HAN[1:7])]
    assert shingles(HAN[:5]) == [" ".join(HAN[:5])]
    # 3 counts as a word, so a window with it needs only four characters besides.
    assert shingles(f"{HAN[:2]}3{HAN[2:5]}") == [" ".join(f"{HAN[:2]}3{HAN[2:4]}"), " ".join(f"{HAN[1:2]}3{HAN[2:5]}")]


def test_a_changed_number_weighs_as_much_as_it_does_in_english():
    similar = {}
    for language in ("en", "zh"):
        alike = Alike(0.5)
        first, second = (PROBLEMS[language][0].format(who="Ada", things="X", a=a, b=12) for a in (3, 4))
        alike.add("first", alike.sketch(first))
        similar[language] = alike.nearest(alike.sketch(second))
    # English: 18 words, 16 runs, 3 of them with the number: 13 are shared of 19.
    # Runs of three characters would share 24 of 30, which is too similar.
    assert similar["en"] == ("first", pytest.approx(13 / 19))
    assert similar["zh"] is not None and similar["zh"][1] < 0.8
