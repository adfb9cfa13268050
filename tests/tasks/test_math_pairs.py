"""Pairs of gold answer and reply that are equal or not, each with its reason.

Most have the form of a case in a public issue, named as `owner/repository#number`; numbers and wording are our own. Cases with a debatable
verdict are left out. `cases` are forms of users' own seeds; `algebra` needs no source. `word_pairs.py` has the pairs that words decide.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import word_pairs

from axolotl_synthetic.records import Question
from axolotl_synthetic.tasks.math import TASK

QUESTION = Question("What is it?")
ERRORS = "huggingface/Math-Verify#14"
LINES = "huggingface/Math-Verify#60"
SETS = "huggingface/Math-Verify#10"
TEXT = "huggingface/Math-Verify#37"
MIXED = "huggingface/Math-Verify#34"
PARTS = "huggingface/Math-Verify#47"
TUPLES = "huggingface/Math-Verify#56"
ROOTS = "huggingface/Math-Verify#64"
BOLD = "huggingface/Math-Verify#76"
FRACTIONS = "huggingface/Math-Verify#70"
PLAIN = "huggingface/Math-Verify#39"
FRAGMENTS = "huggingface/Math-Verify#82"
WORDS = "huggingface/Math-Verify#27"
MONEY = "EleutherAI/lm-evaluation-harness#3214"
CENTS = "EleutherAI/lm-evaluation-harness#3254"
THOUSANDS = "open-compass/opencompass#2426"
COMMAS = "jundot/omlx#3484"
GOLDS = "EleutherAI/lm-evaluation-harness#2212"
UNITS = "EleutherAI/lm-evaluation-harness#4142"
BASES = "EleutherAI/lm-evaluation-harness#3785"
SIGNS = "google-deepmind/proeval#19"
LEFT = "QwenLM/Qwen2.5-Math#29"
GERMAN = "allo-media/text2num#127"
SILENT = "mlalma/MisakiSwift#23"
ONE_IS_ONE = "maths/moodle-qtype_stack#167"
CASES, ALGEBRA = "cases", "algebra"

EQUAL = [
    # Numbers in other spellings
    ("29", "$29.00", MONEY, "a sum of money is its number"),
    ("29", "29.0", CENTS, "zeros behind the point"),
    ("29", "29.", MONEY, "a full stop"),
    ("130000", "$130,000", THOUSANDS, "thousands in groups"),
    ("130,000", "130000", THOUSANDS, "thousands in groups of the gold"),
    ("72", "72,", COMMAS, "a comma behind it"),
    ("-3", "−3", SIGNS, "the minus of Unicode"),
    ("-3", "- 3", SIGNS, "a space behind the sign"),
    ("-3", "minus 3", SIGNS, "the sign in words"),
    ("-1234.5", "-1,234.50", SIGNS, "a sign, groups and decimals"),
    ("73", "**73**", BOLD, "bold"),
    ("73", "**73**.", BOLD, "bold with a full stop"),
    ("13", r"\text{13}", TEXT, "a number as text in LaTeX"),
    ("13", r"$\mathrm{13}$", TEXT, "a number upright in LaTeX"),
    ("2.5", r"$2\frac{1}{2}$", MIXED, "a mixed number in LaTeX"),
    ("5/4", "1 1/4", MIXED, "a mixed number in plain text"),
    ("2 1/4", "9/4", MIXED, "a mixed number as the gold"),
    ("2 and 1/4", "2.25", MIXED, "a mixed number with a word"),
    (r"\dfrac{9}{7}", "9/7", FRACTIONS, "a fraction in display style"),
    (r"\frac97", r"\frac{9}{7}", FRACTIONS, "a fraction without braces"),
    (r"\frac{1}{2}", "½", CASES, "one letter of Unicode"),
    ("2½", "2.5", CASES, "a mixed number with one letter of Unicode"),
    ("¾", "0.75", CASES, "one letter of Unicode"),
    ("1 million", "1000000", CASES, "a magnitude in words"),
    ("2.5 billion", "2,500,000,000", CASES, "a magnitude with decimals"),
    ("$3 million", "$3,000,000", CASES, "money with a magnitude"),
    ("two dozen eggs", "24", CASES, "a dozen is twelve"),
    ("12", "twelve", CASES, "a number in words"),
    ("72", "seventy-two", CASES, "a number in words with a hyphen"),
    ("105", "one hundred and five", CASES, "a number in words with `and`"),
    ("2500", "two thousand five hundred", CASES, "a long number in words"),
    ("2.5", "two and a half", CASES, "a half in words"),
    ("0.5", "one half", CASES, "a fraction in words"),
    ("2/3", "two thirds", CASES, "a fraction in words"),
    ("1e5", "100000", CASES, "a power of ten as computers write it"),
    (r"1.5 \times 10^{3}", "1500", CASES, "a power of ten in LaTeX"),
    ("1.5×10^3", "1,500", CASES, "a power of ten in Unicode"),
    ("1/3", "0.333333", CASES, "six decimals of a fraction without end"),
    (r"0.\overline{3}", r"\frac{1}{3}", CASES, "a repeating decimal"),
    ("30 minutes", "half an hour", CASES, "a half in words with its unit"),
    ("12500000", "$12.5M", THOUSANDS, "millions of dollars by a letter"),
    ("300000000", "3.0 × 10⁸", CASES, "a power of ten with a raised exponent"),
    ("100,000", "1,00,000", CASES, "groups as in India"),
    ("1000", "1 000", SILENT, "groups by spaces"),
    ("1000", "1’000", SILENT, "groups as in Switzerland"),
    # Units
    ("12 cm", "12 centimetres", UNITS, "a unit in words"),
    ("12", r"12\text{ cm}", UNITS, "a unit that the gold leaves out"),
    ("12 cm", "12", UNITS, "a unit that the reply leaves out"),
    ("12 ft", "12 feet", UNITS, "feet"),
    ("12 square feet", "12 ft²", UNITS, "an area in two spellings"),
    ("60 mph", "60 miles per hour", CASES, "a speed in two spellings"),
    ("$10", "10 dollars", MONEY, "a currency in words"),
    ("€10", "10 euros", MONEY, "another currency in words"),
    ("$0.50", "50 cents", MONEY, "cents of a dollar"),
    ("100 cm", "1 m", CASES, "the same length"),
    ("90 minutes", "1.5 hours", CASES, "the same time"),
    ("150 minutes", "2 hours 30 minutes", CASES, "a time in two parts"),
    ("66 inches", "5 feet 6 inches", CASES, "a length in two parts"),
    ("30°", "30 degrees", GOLDS, "an angle"),
    ("30", r"30^\circ", GOLDS, "an angle in LaTeX"),
    ("25%", r"25\%", CASES, "a percentage in LaTeX"),
    ("25%", "25 percent", CASES, "a percentage in words"),
    ("25%", "0.25", CASES, "a percentage as a share"),
    ("25", "25%", CASES, "a percentage whose sign the gold leaves out"),
    ("72 apples", "72", CASES, "what is counted is left out"),
    ("5", "5 more pages", CASES, "what is counted, with another word"),
    # Numbers with a word of another language
    ("12", "12 支", CASES, "Chinese"),
    ("12 支", "12支铅笔", CASES, "Chinese without a space"),
    ("12", "12 ручек", CASES, "Russian"),
    ("12", "12 قلم", CASES, "Arabic"),
    ("12", "12 ดินสอ", CASES, "Thai"),
    ("12", "12 पेंसिल", CASES, "Hindi"),
    ("12", "12 μολύβια", CASES, "Greek"),
    ("12", "12 🍎", CASES, "an emoji"),
    ("25%", "25٪", CASES, "the Arabic sign of a percentage"),
    ("12", "１２個", CASES, "wide digits"),
    ("72", "٧٢", CASES, "Arabic digits"),
    ("72", "๗๒", CASES, "Thai digits"),
    ("72", "७२", CASES, "Hindi digits"),
    ("3.5", "٣٫٥", CASES, "Arabic digits with their decimal separator"),
    ("30000", "3万人", CASES, "a magnitude in Chinese"),
    ("3000", "3 тысячи рублей", CASES, "a magnitude in Russian"),
    ("2000000", "2 Millionen", CASES, "a magnitude in German"),
    ("5000", "5 mil", CASES, "a magnitude in Spanish"),
    # Equations
    ("3x-2y+13=0", "3x - 2y + 13 = 0", LINES, "the same line with spaces"),
    ("3x-2y+13=0", "3x + 13 = 2y", LINES, "the same line, sorted otherwise"),
    ("3x-2y+13=0", "6x-4y+26=0", LINES, "the same line, doubled"),
    ("x^2 + y^2 = 25", "$x^2+y^2=25$", LINES, "the same circle in dollars"),
    ("x^2 + y^2 = 25", "y^2 + x^2 - 25 = 0", LINES, "the same circle, sorted otherwise"),
    ("y = 2x + 3", "2x - y + 3 = 0", LINES, "the same line, solved for y"),
    ("y = 2x + 3", "y = 3 + 2x", ALGEBRA, "the same terms in another order"),
    ("5", "x = 5", ERRORS, "the name of what was asked for"),
    ("x = 5", "5", ERRORS, "the name is left out"),
    ("72", "6 * 12 = 72", CASES, "a calculation that ends in its value"),
    ("72", "Total = 72", CASES, "a word for what was asked for"),
    (r"f(x) = x^2 + 1", r"f(x) = 1 + x^2", ALGEBRA, "a function with its terms in another order"),
    ("n=2, 3, 4", "n = 2, 3, 4", ERRORS, "a name and a list with spaces"),
    ("x = 2 or x = 3", "x = 3 or x = 2", PARTS, "two solutions in another order"),
    ("x=1, y=2", "y = 2, x = 1", PARTS, "two unknowns in another order"),
    ("x=1,y=2", "x = 1 and y = 2", PARTS, "two unknowns with a word between"),
    ("x = ±2", "x = 2 or x = -2", ERRORS, "both signs spelled out"),
    # Lists, sets, tuples and intervals
    ("1331 and 1728", "1728 and 1331", PARTS, "both values in another order"),
    ("1331 and 1728", "1331, 1728", PARTS, "`and` or a comma"),
    (r"19, 46, \text{ and } 82", "19, 46 and 82", ERRORS, "`and` in LaTeX"),
    (r"\{1, 2, 3\}", r"\{3, 1, 2\}", SETS, "sets have no order"),
    (r"\left\{1, 2\right\}", r"\{1,2\}", LEFT, "braces that grow"),
    (r"\{100,200\}", r"\{200, 100\}", SETS, "a comma in a set groups no digits"),
    ("(1, 2)", "(1,2)", LEFT, "spaces in a tuple"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3, \frac{\pi}{2})", LEFT, "brackets that grow"),
    (r"(3, \frac{\pi}{2})", "(3, π/2)", TUPLES, "π in a tuple"),
    ("(0, 1/2)", "(0, 0.5)", TUPLES, "a fraction in a tuple"),
    ("[0, 12.5)", r"\left[0, \frac{25}{2}\right)", SETS, "an interval that is half open"),
    (r"(-\infty, 3)", "(-∞, 3)", UNITS, "∞ in an interval"),
    (r"(-\infty,2)\cup(3,\infty)", "(-∞, 2) ∪ (3, ∞)", UNITS, "a union of intervals"),
    ("D = (0, 1)", "(0, 1)", ERRORS, "an interval whose name is left out"),
    ("x > 5", "5 < x", ALGEBRA, "an inequality from the other side"),
    (r"x \geq 5", "x >= 5", ALGEBRA, "an inequality in plain text"),
    # Ratios, ranges, times, dates
    ("3:2", "3 : 2", ERRORS, "a ratio with spaces"),
    ("3:2", "6:4", ERRORS, "a ratio that can be reduced"),
    ("3:2", "3 to 2", ERRORS, "a ratio in words"),
    ("10-15", "10 – 15", CASES, "a range with another dash"),
    ("10-15", "from 10 to 15", CASES, "a range in words"),
    ("10-15 km", "10 km - 15 km", CASES, "a range whose unit is said twice"),
    ("5:30 PM", "5:30 p.m.", CASES, "half of the day in two spellings"),
    ("5:30 PM", "17:30", CASES, "24 hours"),
    ("5:00 PM", "5 pm", CASES, "a full hour"),
    ("12:00 PM", "noon", CASES, "a time with a name"),
    ("5:30 PM", "5:30 in the afternoon", CASES, "half of the day in words"),
    ("March 5, 2024", "5 March 2024", CASES, "a date in two orders"),
    ("March 5, 2024", "2024-03-05", CASES, "a date as computers write it"),
    ("March 5", "the 5th of March", CASES, "a date in words"),
    # Expressions
    (r"\frac{\sqrt{3}}{3}", "sqrt(3)/3", PLAIN, "a root in plain text"),
    (r"\sqrt{17}", "√17", "huggingface/Math-Verify#29", "a root in Unicode"),
    (r"\sqrt{2}", "1.414214", ALGEBRA, "six decimals of a root"),
    (r"2\sqrt{3}", r"\sqrt{12}", ALGEBRA, "a root in its simplest form"),
    (r"2\sqrt{3}\text{ cm}", r"2\sqrt{3}", UNITS, "a root whose unit is left out"),
    ("2π", r"2\pi", ALGEBRA, "π in Unicode"),
    ("x+1", "1 + x", ALGEBRA, "terms in another order"),
    ("(x+1)^2", "x^2 + 2x + 1", ALGEBRA, "a square that is multiplied out"),
    (r"\frac{1}{2004!}", r"\frac{1}{2004!}", ERRORS, "itself"),
    (r"1 - \frac{1}{e}", r"\frac{e-1}{e}", FRAGMENTS, "one fraction"),
    (r"2^{10}", "1024", ALGEBRA, "a power"),
    ("256_8", "256_{8}", BASES, "a base with braces"),
    (r"\pm 2", "2, -2", ERRORS, "both signs spelled out"),
    ("3 + 2i", "2i + 3", ALGEBRA, "a complex number"),
    ("x² + 1", "x^2 + 1", ALGEBRA, "a raised exponent"),
    ("sin(x)", r"\sin x", PLAIN, "a function in plain text"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", GOLDS, "spaces in a vector"),
    # Text
    ("Evelyn", r"\text{Evelyn}", LEFT, "a name in LaTeX"),
    ("Monday", "monday.", WORDS, "capitals and a full stop"),
    ("yes", "Yes", WORDS, "capitals"),
    ("no solution", "No solution.", WORDS, "words alone"),
    *((gold, reply, CASES, why) for gold, reply, why in word_pairs.EQUAL),
]

DIFFERENT = [
    # Numbers
    ("0.001", "0.0010004", CASES, "decimals are not rounded"),
    ("72", "72.0000004", CASES, "decimals are not rounded"),
    ("1000000", "1000000.0000001", CASES, "nor those of a large number"),
    ("1/3", "0.33", CASES, "two decimals are no third"),
    ("1/3", "0.3", CASES, "one decimal is no third"),
    ("1/7", "0.142858", CASES, "the last decimal is another"),
    ("-3", "3", SIGNS, "the sign"),
    ("3", "-3", SIGNS, "the sign"),
    ("130000", "130", THOUSANDS, "groups are no decimals"),
    ("1.5", "15", CASES, "the point"),
    ("5", "5 1/2", MIXED, "a mixed number is not its whole part"),
    ("1/4", "2 1/4", MIXED, "a mixed number is not its fraction"),
    (r"2\frac{1}{2}", "1", MIXED, "a mixed number is no product"),
    ("5", "5 million", CASES, "a magnitude counts"),
    ("1 million", "1 billion", CASES, "two magnitudes"),
    ("5", "5 dozen", CASES, "a dozen counts"),
    ("12", "twenty", CASES, "another number in words"),
    ("72", "seventy-three", CASES, "another number in words"),
    ("2", "two thirds", CASES, "a fraction is not its count"),
    ("1e5", "1e6", CASES, "another power of ten"),
    ("1.5×10^3", "1.5×10^4", CASES, "another power of ten"),
    ("7", "7²", CASES, "a square is not its base"),
    ("72", "7^2", CASES, "a power is not its digits"),
    ("1", "1e400", CASES, "a number that is too large"),
    (r"0.\overline{3}", "0.3", CASES, "a repeating decimal is no short one"),
    ("99", "9 9", CASES, "two digits apart"),
    # Units
    ("25%", "0.25%", CASES, "two percentages"),
    ("25%", "2.5%", CASES, "two percentages"),
    ("0.25%", "25%", CASES, "two percentages"),
    ("$10", "10%", CASES, "money is no percentage"),
    ("10 cm", "10%", CASES, "a length is no percentage"),
    ("100 cm", "100 m", CASES, "two lengths"),
    ("100 cm", "10 m", CASES, "two lengths with other numbers"),
    ("12 cm", "12 inches", UNITS, "two lengths"),
    ("12 cm", "12 cm²", UNITS, "a length is no area"),
    ("12 square feet", "12 cubic feet", UNITS, "an area is no volume"),
    ("5 hours", "5 minutes", CASES, "two times"),
    ("5 hours", "5 days", CASES, "two times"),
    ("5 kg", "5 g", CASES, "two masses"),
    ("5 kg", "5 km", CASES, "a mass is no length"),
    ("$5", "€5", MONEY, "two currencies"),
    ("$5", "5 cents", MONEY, "a dollar is no cent"),
    ("60 mph", "60 km/h", CASES, "two speeds"),
    ("60 miles per hour", "60 miles per minute", CASES, "two speeds"),
    ("30°C", "30°F", CASES, "two temperatures"),
    ("30 degrees", "30 radians", CASES, "two angles"),
    ("2 hours 30 minutes", "2.3 hours", CASES, "minutes are no decimals"),
    ("2 hours 30 minutes", "30 minutes", CASES, "the last number alone"),
    ("5 feet 6 inches", "6 inches", CASES, "the last number alone"),
    (r"2\sqrt{3}\text{ cm}", r"2\sqrt{3}\text{ m}", UNITS, "two lengths"),
    # Other languages
    ("12", "13 支", CASES, "another number in Chinese"),
    ("3", "3万人", CASES, "a magnitude in Chinese"),
    ("3", "3 тысячи рублей", CASES, "a magnitude in Russian"),
    ("2", "2 Millionen", CASES, "a magnitude in German"),
    ("5", "5 ألف", CASES, "a magnitude in Arabic"),
    ("5", "5 ล้าน", CASES, "a magnitude in Thai"),
    ("12", "12 или 13", CASES, "two values in Russian"),
    ("12", "12 oder 13", CASES, "two values in German"),
    ("72", "٧٣", CASES, "another number in Arabic digits"),
    # Equations
    ("3x-2y+13=0", "3x + 4y + 14 = 0", LINES, "another line"),
    ("3x-2y+13=0", "3x-2y-13=0", LINES, "a parallel line"),
    ("3x-2y+13=0", "0", LINES, "the last number alone"),
    ("3x-2y+13=0", "13", LINES, "a number of it alone"),
    ("0", "3x-2y+13=0", LINES, "the last number alone, from the other side"),
    ("x^2 + y^2 = 25", "x^2 + y^2 = 16", LINES, "another circle"),
    ("x^2 + y^2 = 25", "x^2 - y^2 = 25", LINES, "a hyperbola"),
    ("x^2 + y^2 = 25", "25", LINES, "the last number alone"),
    ("x^2 + y^2 = 25", "(x-1)^2 + y^2 = 25", LINES, "a circle elsewhere"),
    ("x = 5", "y = 5", ERRORS, "another line"),
    ("x = 5", "x = 6", ERRORS, "another value"),
    ("x = 5", "x^2 = 25", ALGEBRA, "an equation with one more solution"),
    ("x = 5", "2x + 3 = 13", ALGEBRA, "the equation that was to be solved"),
    ("xy = 1", "1", ALGEBRA, "a hyperbola is no number"),
    ("y = 2x + 3", "y = 2x - 3", ALGEBRA, "a parallel line"),
    ("y = 2x + 3", "y = 3x + 2", ALGEBRA, "another line"),
    ("y = 2x + 3", "3", ALGEBRA, "the last number alone"),
    ("5", "1 = 1", ONE_IS_ONE, "an equation that always holds"),
    ("y = 2x", "1 = 1", ONE_IS_ONE, "an equation that always holds"),
    ("n=2, 3, 4", "n=1, 2, 3", ERRORS, "another list under a name"),
    ("D = (0, 1)", "D = (0, 1.5)", ERRORS, "another interval under a name"),
    (r"F_n = \sum_{k=0}^{n-1} F_k F_{n-k-1}", r"F_n = \sum_{k=0}^{n-2} F_k F_{n-k-2}", ERRORS, "another sum"),
    ("f(x) = 0", r"\forall x>0, f(x) = 0", ROOTS, "a condition more"),
    ("x=1, y=2", "x=2, y=1", PARTS, "two unknowns swapped"),
    ("x = 2 or x = 3", "x = 2", PARTS, "one of two solutions"),
    ("x = 2 or x = 3", "x = 3", PARTS, "the last of two solutions"),
    # Lists, sets, tuples and intervals
    ("1331 and 1728", "1728", PARTS, "one of two values"),
    ("1331 and 1728", "1331, 1728, 2197", PARTS, "a value too many"),
    ("1331", "1331 and 1728", PARTS, "a value too many"),
    (r"19, 46, \text{ and } 82", "21, 36, and 82", ERRORS, "the last of three alone"),
    ("12", "12 boxes and 3 cards", CASES, "two things"),
    ("12 boys and 3 girls", "12 girls and 3 boys", CASES, "things swapped"),
    (r"\{1, 2, 3\}", r"\{1, 2\}", SETS, "a smaller set"),
    (r"\{1, 2\}", r"\{1, 3\}", SETS, "another set"),
    (r"\{1,200\}", "1200", SETS, "a set is no number"),
    ("(1, 2)", "(2, 1)", TUPLES, "a tuple has an order"),
    ("(1, 2)", r"\{1, 2\}", TUPLES, "a tuple is no set"),
    ("(1, 2)", "[1, 2]", SETS, "open is not closed"),
    ("[0, 12.5)", "[0, 12.5]", SETS, "half open is not closed"),
    ("(0, 12.5)", "12.5", SETS, "the last number alone"),
    (r"(3, \frac{\pi}{2})", r"(3, \frac{2\pi}{3})", TUPLES, "another point"),
    (r"(3, \frac{\pi}{2})", "3", TUPLES, "the first number alone"),
    (r"(2,\infty)", r"(-2,\infty)", UNITS, "another interval"),
    (r"(2,\infty)", r"(-\infty,2)", UNITS, "the other side"),
    (r"(-\infty,2)\cup(3,\infty)", r"(3,\infty)", UNITS, "one of two intervals"),
    ("x > 5", "x < 5", ALGEBRA, "the other side"),
    ("x > 5", r"x \geq 5", ALGEBRA, "the end belongs to it"),
    ("x > 5", "5", ALGEBRA, "the last number alone"),
    ("5", "x > 5", ALGEBRA, "the last number alone, from the other side"),
    ("1 < x < 5", "1 < x < 6", ALGEBRA, "another end"),
    (r"x \neq 3", "3", ALGEBRA, "the one value that it is not"),
    # Ratios, ranges, times, dates
    ("3:2", "2:3", ERRORS, "a ratio has an order"),
    ("3:2", "2", ERRORS, "the last number alone"),
    ("3:2", "3/20", ERRORS, "other numbers"),
    (r"1:2:3:\ldots", r"1:4:9:\ldots", ERRORS, "a list of ratios that goes on"),
    ("1:2:3", "1:2:4", ERRORS, "another ratio of three"),
    ("10-15", "-5", CASES, "a range is no difference"),
    ("-5", "10-15", CASES, "a range is no difference"),
    ("10-15", "15", CASES, "the last number alone"),
    ("10-15", "10-16", CASES, "another end"),
    ("5 to 6", "5", CASES, "the first number alone"),
    ("12:00", "1:00", ERRORS, "another time"),
    ("5:30 PM", "5:30 AM", CASES, "the other half of the day"),
    ("5 pm", "5 am", CASES, "the other half of the day"),
    ("5:30 PM", "5:03 PM", CASES, "other minutes"),
    ("5:30", "30", CASES, "the last number alone"),
    ("3", "3:30", CASES, "the first number alone"),
    ("noon", "midnight", CASES, "the other twelve"),
    ("March 5, 2024", "March 5, 2025", CASES, "another year"),
    ("March 5, 2024", "May 3, 2024", CASES, "day and month swapped"),
    ("March 5", "5", CASES, "the last number alone"),
    ("2024-03-05", "2016", CASES, "a date is no difference"),
    ("555-0199", "356", CASES, "a telephone number is no difference"),
    # Expressions
    (r"\frac{1}{2004!}", r"\frac{1}{2006!}", ERRORS, "two tiny numbers"),
    (r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}", ERRORS, "two tiny numbers"),
    (r"\frac{2^{2005}+1}{3 \cdot 2^{2006}}", r"\frac{1}{3 \cdot 2^{2006}}", ERRORS, "a summand is missing"),
    (r"1 - \frac{1}{\mathrm{e}}", r"1 + \frac{1}{\mathrm{e}}", FRAGMENTS, "the sign within a formula"),
    (r"\pm 2021", "2021", ERRORS, "one of two signs"),
    ("2021", r"\pm 2021", ERRORS, "a sign too many"),
    (r"1, 2, \ldots, n", r"1, 3, 5, \ldots, 2n-1", ERRORS, "another row of numbers"),
    (r"\sqrt{17}", "17", "huggingface/Math-Verify#29", "what stands under the root"),
    (r"\sqrt{2}", "1.41", ALGEBRA, "two decimals of a root"),
    (r"2\sqrt{3}", r"3\sqrt{2}", ALGEBRA, "numbers swapped"),
    ("2π", "6.28", ALGEBRA, "two decimals of π"),
    ("2π", "2", ALGEBRA, "a factor is missing"),
    ("5x", "5", ALGEBRA, "a factor is missing"),
    ("x+1", "x-1", ALGEBRA, "the sign"),
    ("x+1", "y+1", ALGEBRA, "another variable"),
    ("3 + 2i", "3 - 2i", ALGEBRA, "the conjugate"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 3 \end{pmatrix}", GOLDS, "another vector"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 2 \\ 1 \end{pmatrix}", GOLDS, "a vector has an order"),
    ("2a + 3c", "2a + 3", UNITS, "a last letter is a factor and no unit"),
    ("5t", "5", UNITS, "a letter is a factor and no unit"),
    ("3h", "3", UNITS, "a letter is a factor and no unit"),
    ("f'(x)", "f(x)", ROOTS, "a derivative"),
    (r"\sin x", r"\cos x", ALGEBRA, "another function"),
    (r"\infty", r"-\infty", ALGEBRA, "the other infinity"),
    ("256_8", "256", BASES, "a number in another base"),
    ("256_8", "256_9", BASES, "two bases"),
    ("a_1", "a_2", BASES, "two members of a row"),
    (r"\frac{1}{2}", r"\frac{2}{1}", FRACTIONS, "turned over"),
    # Text
    ("Evelyn", "Evelyn or Carla", LEFT, "a name too many"),
    ("Evelyn", "Carla", LEFT, "another name"),
    ("no", "on", WORDS, "the same letters"),
    ("no solution", "0", WORDS, "words are no number"),
    ("Monday", "Tuesday", WORDS, "another day"),
    ("true", "false", WORDS, "the contrary"),
    ("72", "not 72", WORDS, "a denial"),
    *((gold, reply, CASES, why) for gold, reply, why in word_pairs.DIFFERENT),
]  # fmt: skip

# With a decimal comma, which the seeds have or `seeds.decimal: comma` states
COMMA = [
    ("3.600 Schrauben", "3600", True, GERMAN, "groups by a point"),
    ("3.600", "3600 Schrauben", True, GERMAN, "groups by a point"),
    ("16,5", "16.5", True, GERMAN, "a reply with a point that groups nothing"),
    ("16,5", "16,50", True, GERMAN, "a zero behind the comma"),
    ("1.234.567,8", "1234567,8", True, SILENT, "groups and decimals"),
    ("1.971,13 €", "1971,13", True, SILENT, "a sum of money"),
    ("16,5", "33/2", True, GERMAN, "a fraction"),
    ("0,125", "1/8", True, GERMAN, "three decimals behind a nought"),
    ("(1,5; 2)", "(3/2; 2)", True, GERMAN, "a tuple with semicolons"),
    ("1,5 Millionen", "1500000", True, GERMAN, "a magnitude"),
    ("2,5 %", "2,5 Prozent", True, GERMAN, "a percentage in words"),
    ("3.600", "3,6", False, GERMAN, "groups are no decimals"),
    ("16,5", "165", False, SILENT, "the comma"),
    ("16,5", "16", False, GERMAN, "the first number alone"),
    ("16,5", "5", False, GERMAN, "the last number alone"),
    ("1971,13", "197113", False, SILENT, "the comma"),
    ("3.600", "3.601", False, GERMAN, "another number"),
]


def read(text: str, question: Question) -> str:
    value = TASK.final_answer(f"So that is the answer.\n#### {text}", question)
    assert value is not None
    return value


def judged_equal(gold: str, reply: str, question: Question) -> bool:
    return TASK.equivalent(read(gold, question), read(reply, question), question)


@pytest.mark.parametrize(("gold", "reply", "source", "why"), EQUAL)
def test_a_reply_that_says_what_the_gold_answer_says_passes(gold, reply, source, why):
    assert judged_equal(gold, reply, QUESTION), f"{why} ({source})"


@pytest.mark.parametrize(("gold", "reply", "source", "why"), DIFFERENT)
def test_a_reply_that_says_something_else_is_refused(gold, reply, source, why):
    assert not judged_equal(gold, reply, QUESTION), f"{why} ({source})"


@pytest.mark.parametrize(("gold", "reply", "equal", "source", "why"), COMMA)
def test_a_decimal_comma_is_read_as_the_seeds_write_it(gold, reply, equal, source, why):
    assert judged_equal(gold, reply, replace(QUESTION, decimal="comma")) is equal, f"{why} ({source})"


@pytest.mark.parametrize("gold", sorted({pair[0] for pair in (*EQUAL, *DIFFERENT)}))
def test_each_gold_answer_is_what_it_is_itself_and_no_other_number(gold):
    assert judged_equal(gold, gold, QUESTION)
    assert not judged_equal(gold, "123456.789", QUESTION)


def test_the_table_is_large_and_half_of_it_are_inequalities():
    assert len(EQUAL) + len(DIFFERENT) >= 200
    assert len(DIFFERENT) >= (len(EQUAL) + len(DIFFERENT)) / 2
    assert len({(gold, reply) for gold, reply, *_ in (*EQUAL, *DIFFERENT)}) == len(EQUAL) + len(DIFFERENT)
