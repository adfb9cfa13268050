"""Scripts whose vowels are signs on a letter (Unicode's combining marks): words keep the signs, and verdicts are as in English.

Each problem is written by hand in several languages.
"""

import pytest

from axolotl_synthetic.checks import decontamination, near_duplicate
from axolotl_synthetic.checks.decontamination import Options
from axolotl_synthetic.checks.duplicate import normalised
from axolotl_synthetic.checks.words import words
from axolotl_synthetic.records import Question, Seed

from candidates import KEEPS, MATH, SEED, candidate

# Five problems of one kind, each filled in three ways.
PROBLEMS = {
    "en": [
        "{who} has {a} boxes with {b} {things} in each of them. How many {things} does {who} have altogether?",
        "A shop sells {things} in bags of {a}. {who} buys {b} bags and pays with a note of 100. How many {things} does {who} have now?",
        "{who} had {a} {things} and gave {b} of them to a friend. How many {things} does {who} have left?",
        "There are {a} pupils in the class and each of them brings {b} {things}. How many {things} are there on the table?",
        "{who} reads for {a} minutes every day. How many minutes does {who} read in {b} weeks, and how many {things} is that worth?",
    ],
    "hindi": [
        "{who} के पास {a} डिब्बे हैं और हर डिब्बे में {b} {things} हैं। {who} के पास कुल कितने {things} हैं?",
        "एक दुकान {a} के थैले में {things} बेचती है। {who} {b} थैले खरीदता है और सौ रुपये का नोट देता है। अब {who} के पास कितने {things} हैं?",
        "{who} के पास {a} {things} थे और उसने उनमें से {b} अपने दोस्त को दे दिए। {who} के पास कितने {things} बचे हैं?",
        "कक्षा में {a} छात्र हैं और हर छात्र {b} {things} लाता है। मेज़ पर कुल कितने {things} हैं?",
        "{who} हर दिन {a} मिनट पढ़ता है। {b} हफ़्तों में {who} कितने मिनट पढ़ता है, और यह कितने {things} के बराबर है?",
    ],
    "bengali": [
        "{who}র কাছে {a}টি বাক্স আছে এবং প্রতিটি বাক্সে {b}টি {things} আছে। {who}র কাছে মোট কতগুলি {things} আছে?",
        "একটি দোকান {a}টির থলিতে {things} বিক্রি করে। {who} {b}টি থলি কেনে এবং একশো টাকার নোট দেয়। এখন {who}র কাছে কতগুলি {things} আছে?",
        "{who}র কাছে {a}টি {things} ছিল এবং সে তার বন্ধুকে {b}টি দিয়ে দিল। {who}র কাছে কতগুলি {things} বাকি আছে?",
        "শ্রেণিতে {a} জন ছাত্র আছে এবং প্রত্যেকে {b}টি {things} আনে। টেবিলে মোট কতগুলি {things} আছে?",
        "{who} প্রতিদিন {a} মিনিট পড়ে। {b} সপ্তাহে {who} কত মিনিট পড়ে, এবং তা কতগুলি {things} এর সমান?",
    ],
    "tamil": [
        "{who} இடம் {a} பெட்டிகள் உள்ளன, ஒவ்வொரு பெட்டியிலும் {b} {things} உள்ளன. {who} இடம் மொத்தம் எத்தனை {things} உள்ளன?",
        "ஒரு கடை {a} கொண்ட பைகளில் {things} விற்கிறது. {who} {b} பைகள் வாங்கி நூறு ரூபாய் நோட்டு தருகிறார். இப்போது {who} இடம் எத்தனை {things} உள்ளன?",
        "{who} இடம் {a} {things} இருந்தன, அவற்றில் {b} ஐ நண்பருக்குக் கொடுத்தார். {who} இடம் எத்தனை {things} மீதி உள்ளன?",
        "வகுப்பில் {a} மாணவர்கள் உள்ளனர், ஒவ்வொருவரும் {b} {things} கொண்டு வருகிறார்கள். மேசையில் எத்தனை {things} உள்ளன?",
        "{who} தினமும் {a} நிமிடங்கள் படிக்கிறார். {b} வாரங்களில் {who} எத்தனை நிமிடங்கள் படிப்பார், அது எத்தனை {things} மதிப்பு?",
    ],
    "telugu": [
        "{who} దగ్గర {a} పెట్టెలు ఉన్నాయి, ప్రతి పెట్టెలో {b} {things} ఉన్నాయి. {who} దగ్గర మొత్తం ఎన్ని {things} ఉన్నాయి?",
        "ఒక దుకాణం {a} సంచులలో {things} అమ్ముతుంది. {who} {b} సంచులు కొని వంద రూపాయల నోటు ఇస్తాడు. ఇప్పుడు {who} దగ్గర ఎన్ని {things} ఉన్నాయి?",
        "{who} దగ్గర {a} {things} ఉండేవి, వాటిలో {b} స్నేహితుడికి ఇచ్చాడు. {who} దగ్గర ఎన్ని {things} మిగిలాయి?",
        "తరగతిలో {a} విద్యార్థులు ఉన్నారు, ప్రతి ఒక్కరు {b} {things} తెస్తారు. బల్ల మీద ఎన్ని {things} ఉన్నాయి?",
        "{who} ప్రతి రోజు {a} నిమిషాలు చదువుతాడు. {b} వారాలలో {who} ఎన్ని నిమిషాలు చదువుతాడు, అది ఎన్ని {things} కు సమానం?",
    ],
    "tibetan": [
        "{who}་ལ་སྒམ་{a}་ཡོད། སྒམ་རེ་རེའི་ནང་{things}་{b}་རེ་ཡོད། {who}་ལ་{things}་ཁྱོན་བསྡོམས་ག་ཚོད་ཡོད་དམ།",
        "ཚོང་ཁང་ཞིག་གིས་{things}་ཁུག་མ་རེར་{a}་བླུགས་ནས་བཙོང་གི་ཡོད། {who}་ཡིས་ཁུག་མ་{b}་ཉོས་ནས་སྒོར་མོ་བརྒྱ་སྤྲད། ད་ལྟ་{who}་ལ་{things}་ག་ཚོད་ཡོད་དམ།",
        "{who}་ལ་{things}་{a}་ཡོད་པ་ལས་{b}་གྲོགས་པོ་ལ་སྤྲད་པ་རེད། {who}་ལ་{things}་ག་ཚོད་ལྷག་ཡོད་དམ།",
        "འཛིན་གྲྭའི་ནང་སློབ་མ་{a}་ཡོད་ལ་སློབ་མ་རེ་རེས་{things}་{b}་རེ་འཁྱེར་ཡོང་གི་ཡོད། ཅོག་ཙེའི་སྒང་ལ་{things}་ག་ཚོད་ཡོད་དམ།",
        "{who}་ཡིས་ཉིན་ལྟར་སྐར་མ་{a}་ལ་དཔེ་ཆ་ཀློག་གི་ཡོད། བདུན་ཕྲག་{b}་ནང་{who}་ཡིས་སྐར་མ་ག་ཚོད་ཀློག་གམ། དེ་{things}་ག་ཚོད་དང་མཉམ་མམ།",
    ],
    "burmese": [
        "{who} တွင် သေတ္တာ {a} လုံးရှိပြီး သေတ္တာတစ်လုံးစီတွင် {things} {b} ခုစီရှိသည်။ {who} တွင် {things} စုစုပေါင်း ဘယ်နှစ်ခုရှိသနည်း။",
        "ဆိုင်တစ်ဆိုင်က {things} ကို အိတ်တစ်အိတ်လျှင် {a} ခုဖြင့် ရောင်းသည်။ {who} က {b} အိတ်ဝယ်ပြီး တစ်ရာတန်တစ်ရွက်ပေးသည်။ ယခု {who} တွင် {things} ဘယ်နှစ်ခုရှိသနည်း။",
        "{who} တွင် {things} {a} ခုရှိခဲ့ပြီး သူငယ်ချင်းကို {b} ခုပေးလိုက်သည်။ {who} တွင် {things} ဘယ်နှစ်ခုကျန်သနည်း။",
        "အတန်းထဲတွင် ကျောင်းသား {a} ယောက်ရှိပြီး တစ်ယောက်စီက {things} {b} ခုစီ ယူလာသည်။ စားပွဲပေါ်တွင် {things} ဘယ်နှစ်ခုရှိသနည်း။",
        "{who} က နေ့စဉ် {a} မိနစ် စာဖတ်သည်။ {b} ပတ်အတွင်း {who} က ဘယ်နှစ်မိနစ်ဖတ်သနည်း၊ ၎င်းသည် {things} ဘယ်နှစ်ခုနှင့် ညီမျှသနည်း။",
    ],
    "khmer": [
        "{who}មានប្រអប់ {a} ហើយក្នុងប្រអប់នីមួយៗមាន{things} {b} ។ តើ{who}មាន{things}សរុបប៉ុន្មាន?",
        "ហាងមួយលក់{things}ក្នុងថង់ដែលមាន {a} ។ {who}ទិញ {b} ថង់ហើយបង់ប្រាក់មួយរយ។ តើឥឡូវនេះ{who}មាន{things}ប៉ុន្មាន?",
        "{who}មាន{things} {a} ហើយបានឲ្យមិត្តភក្តិ {b} ។ តើ{who}នៅសល់{things}ប៉ុន្មាន?",
        "ក្នុងថ្នាក់មានសិស្ស {a} នាក់ ហើយម្នាក់ៗយក{things} {b} មក។ តើនៅលើតុមាន{things}ប៉ុន្មាន?",
        "{who}អានសៀវភៅ {a} នាទីរៀងរាល់ថ្ងៃ។ តើ{who}អានប៉ុន្មាននាទីក្នុង {b} សប្តាហ៍ ហើយវាស្មើនឹង{things}ប៉ុន្មាន?",
    ],
    "lao": [
        "{who}ມີກ່ອງ {a} ກ່ອງ ແລະໃນແຕ່ລະກ່ອງມີ{things} {b} ອັນ. {who}ມີ{things}ທັງໝົດຈັກອັນ?",
        "ຮ້ານຄ້າແຫ່ງໜຶ່ງຂາຍ{things}ຖົງລະ {a} ອັນ. {who}ຊື້ {b} ຖົງ ແລ້ວຈ່າຍດ້ວຍໃບໜຶ່ງຮ້ອຍກີບ. ຕອນນີ້{who}ມີ{things}ຈັກອັນ?",
        "{who}ມີ{things} {a} ອັນ ແລ້ວໃຫ້ໝູ່ໄປ {b} ອັນ. {who}ຍັງເຫຼືອ{things}ຈັກອັນ?",
        "ໃນຫ້ອງຮຽນມີນັກຮຽນ {a} ຄົນ ແລະແຕ່ລະຄົນເອົາ{things}ມາ {b} ອັນ. ຢູ່ເທິງໂຕະມີ{things}ຈັກອັນ?",
        "{who}ອ່ານປຶ້ມມື້ລະ {a} ນາທີ. ໃນ {b} ອາທິດ{who}ອ່ານຈັກນາທີ ແລະເທົ່າກັບ{things}ຈັກອັນ?",
    ],
}
FILLINGS = {
    "en": [("Ada", "pencils"), ("Ben", "oranges"), ("Clara", "stamps")],
    "hindi": [("राम", "पेंसिल"), ("मीना", "संतरे"), ("विजय", "टिकट")],
    "bengali": [("রাম", "পেন্সিল"), ("মীনা", "কমলা"), ("বিজয়", "ডাকটিকিট")],
    "tamil": [("ராமன்", "பென்சில்கள்"), ("மீனா", "ஆரஞ்சுகள்"), ("விஜய்", "முத்திரைகள்")],
    "telugu": [("రాము", "పెన్సిళ్లు"), ("మీనా", "నారింజలు"), ("విజయ్", "స్టాంపులు")],
    "tibetan": [("བཀྲ་ཤིས", "ཞ་སྨྱུག"), ("སྒྲོལ་མ", "ཚ་ལུ་མ"), ("ཚེ་རིང", "སྦྲག་རྟགས")],
    "burmese": [("မောင်မောင်", "ခဲတံ"), ("မမ", "လိမ္မော်သီး"), ("ကိုကို", "တံဆိပ်ခေါင်း")],
    "khmer": [("សុខា", "ខ្មៅដៃ"), ("ចាន់", "ក្រូច"), ("ដារ៉ា", "តែម")],
    "lao": [("ສົມໄຊ", "ສໍດຳ"), ("ມາລີ", "ໝາກກ້ຽງ"), ("ວິໄຊ", "ສະແຕມ")],
}


def problems(language: str) -> list[Seed]:
    """Return 15 seeds; each third has the same filling, and no two have the same numbers."""
    texts = [
        pattern.format(who=who, things=things, a=11 + 3 * at + 40 * number, b=3 + at + 10 * number)
        for number, (who, things) in enumerate(FILLINGS[language])
        for at, pattern in enumerate(PROBLEMS[language])
    ]
    return [Seed(f"{language}-{number}", Question(text), "#### 1") for number, text in enumerate(texts)]


@pytest.mark.parametrize("language", PROBLEMS)
def test_problems_of_one_kind_give_none_of_the_others_away_whatever_the_signs(language):
    seeds = problems(language)
    held_out, others = seeds[::3], [seed for at, seed in enumerate(seeds) if at % 3]
    judge = decontamination.make(MATH, KEEPS, Options(), held_out)
    refused = [judge(candidate("#### 1", seed=seed), seed).detail for seed in others]
    assert (len(refused), [detail for detail in refused if detail]) == (10, [])


@pytest.mark.parametrize("language", PROBLEMS)
def test_a_copy_is_found_whatever_the_signs(language):
    seeds = problems(language)
    judge = decontamination.make(MATH, KEEPS, Options(), seeds[::3])
    for seed in seeds[::3]:
        near = judge(candidate("#### 1", "new_question", question=seed.question.text.rstrip("?။།។") + "!"), SEED)
        assert (near.passed, near.detail) == (False, f"its question is 100% like that of the held-out seed {seed.id}")
        # Two copies have thirteen words or more in every language; in a longer text the question is not similar as a whole.
        twice = f"{seed.question.text} {seed.question.text}"
        copy = candidate(f"{seeds[1].question.text} {twice}\n#### 1", "new_question", question=seeds[2].question.text)
        held = decontamination.make(MATH, KEEPS, Options(), [Seed(seed.id, Question(twice))])
        verdict = held(copy, SEED)
        assert (verdict.passed, verdict.detail.split(":")[0]) == (False, f"it shares 13 words with the held-out seed {seed.id}")


@pytest.mark.parametrize("language", PROBLEMS)
def test_problems_of_one_kind_are_no_near_duplicates_whatever_the_signs(language):
    judge = near_duplicate.make(MATH, KEEPS)
    for seed in problems(language):
        made = candidate("#### 1", "new_question", question=seed.question.text)
        assert judge(made, SEED).passed is True, seed.question.text
        judge.remember(made)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("दिन", "दान"),  # Hindi: day, gift
        ("दिन", "दीन"),
        ("কাল", "কল"),  # Bengali: tomorrow, tap
        ("பல்", "பால்"),  # Tamil: tooth, milk
        ("కల", "కళ"),
        ("కాలు", "కలు"),  # Telugu
        ("ಮನೆ", "ಮನ"),  # Kannada: house, mind
        ("ദിനം", "ദാനം"),  # Malayalam
        ("ગામ", "ગમ"),  # Gujarati: village, liking
        ("ਦਿਨ", "ਦਾਨ"),  # Punjabi
        ("ଦିନ", "ଦାନ"),  # Odia
        ("දිනය", "දානය"),  # Sinhala
        ("ดี", "ดู"),  # Thai: good, look
        ("ໃກ້", "ໃກ"),  # Lao
        ("ကို", "ကူ"),  # Burmese
        ("ទី", "ទា"),  # Khmer
        ("བོད", "བདེ"),  # Tibetan
        ("བོད", "བད"),
        ("שָׁלֹם", "שָׁלוֹם"),  # Hebrew
        ("كَتَبَ", "كُتِبَ"),  # Arabic: he wrote, it was written
    ],
)
def test_words_that_differ_in_a_sign_are_two(one, other):
    assert normalised(f"5 {one}?") != normalised(f"5 {other}?")
    assert words(f"5 {one}?") != words(f"5 {other}?")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("राम के पास 5 पेंसिलें हैं।", ["राम", "के", "पास", "5", "पेंसिलें", "हैं"]),
        ("প্রত্যেকে ২.৫টি", ["প্রত্যেকে", "২", "৫টি"]),
        ("ஒரு கடை, எத்தனை?", ["ஒரு", "கடை", "எத்தனை"]),
        ("బల్ల మీద", ["బల్ల", "మీద"]),
        ("क्\u200dष", ["क्ष"]),  # a joiner is invisible
        ("ดีมาก", ["ดี", "ม", "า", "ก"]),
        ("ကျောင်း ၁၂", ["ကျော", "င်း", "၁၂"]),
        ("ខ្មែរ", ["ខ្", "មែ", "រ"]),
        ("བཀྲ་ཤིས།", ["བ", "ཀྲ", "ཤི", "ས"]),
        ("cafe\u0301 ❤\ufe0f 5", ["café", "5"]),
    ],
)
def test_a_sign_belongs_to_its_letter(text, expected):
    assert list(words(text)) == expected


@pytest.mark.parametrize("language", PROBLEMS)
def test_the_same_text_with_other_punctuation_is_the_same(language):
    text = problems(language)[0].question.text
    assert normalised(text) == normalised(f"  {text.rstrip('?။།។')} !")
