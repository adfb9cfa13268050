"""End of the model's own turn in a reply: at special tokens that a server left in the text, or at turns of others that the model invented.

This file does no I/O. Only `thoughts.py` uses it, after cutting out the thoughts. Text before a token that ends or begins a turn, or up to
a final answer, is whole, and the rest is cut off. A marker in the middle of a sentence, or one that calls a tool, leaves it unclear where
the answer ends. It makes the whole reply unusable: half an answer would otherwise be trained on unnoticed.
"""

from __future__ import annotations

import re
from itertools import islice

from axolotl_synthetic.mentions import Mentions

# A reply with more markers is unusable, and each takes time.
MOST_MARKERS = 1_000
# Upper bound of a special token's length.
_LONGEST_TOKEN = 64
# Require three letters, to spare formulas such as <|v|>, and exclude Greek letters. DeepSeek uses full-width bars, EXAONE brackets.
_GREEK = "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|omicron|rho|sigma|tau|upsilon|phi|chi|psi|omega"
_BARS = rf"<[|｜](?!(?i:{_GREEK})[|｜])[A-Za-z][\w▁:-]{{2,39}}[|｜]>|\[\|[A-Za-z]\w{{2,39}}\|\]"
# Tool tags of Llama 2, Gemma 2 to 4, InternLM, Baichuan, Kimi, Cohere, Seed-OSS, Nemotron, Ling, MiniMax.
_TOOL_TAG = r"</?(?:tool|function)_(?:calls?|response|results?)>|<function=[\w.:-]{1,40}>|<invoke name=\"[\w.:-]{1,40}\">"
_BARE = (
    r"<(?:bos|eos|pad|eot|eod|eoa|eoh|BOS_TOKEN|EOS_TOKEN|seed:[be]os|end_of_(?:turn|sentence|text))>|<\|turn>|<turn\|>|\[EO[STM]\]"
    r"|<reserved_\d{1,4}>|\[UNUSED_TOKEN_\d{1,4}\]|<unused\d{1,4}>|<extra_id_\d{1,3}>|<SPECIAL_\d{1,4}>|<</?SYS>>|\[e~\[|\]~[b!]\]"
    r"|<start_of_turn>|\[/?INST\]|<role>(?:HUMAN|ASSISTANT|SYSTEM)</role>|\[TOOL_CALLS\]"
    # StarCoder's tokens, and citations of searches by OpenAI's models.
    r"|<(?:unk|file_sep|repo_name|issue_start|jupyter_start|fim_(?:prefix|middle|suffix|pad))>"
    r"|【\d{1,3}(?::\d{1,3})?†[^】\n]{0,40}】|\ue200[^\ue201\n]{1,60}\ue201"
)
_TOKEN = rf"(?:{_BARS}|{_BARE}|{_TOOL_TAG})"
# Any of these, and <s> and </s>, which are also HTML.
SPECIAL_TOKEN = re.compile(rf"{_TOKEN}|</?s>")
_ROLE = r"(?i:user|human|system|assistant|model|tool|observation|ipython)(?=\s|[<:]|\Z)"
_OTHERS_TURN = re.compile(
    r"(?:<[|｜](?i:im_start|start_header_id|header_start|start|start_of_role|turn|begin)[|｜]>|<start_of_turn>|<\|turn>|<extra_id_1>|\]~b\])\s*"
    r"(?i:user|human|system|tool|observation)\b"
    r"|<[|｜](?:hy_)?(?i:user|human|system|im_user|im_system|user_start|observation)[|｜]>|\[\|(?:user|system)\|\]"
    r"|<reserved_(?:106|195)>|<role>(?:HUMAN|SYSTEM)</role>|\[INST\]|<<SYS>>"
)
_TOOL = re.compile(rf"(?i:<[|｜][^|｜>]*(?:tool|python_tag|function|action)[^|｜>]*[|｜]>|{_TOOL_TAG}|\[TOOL_CALLS\])")
_BOX = re.compile(r"<\|(?:begin|end)_of_box\|>")
# Tokens of BERT and others, which a text about them also names: they count only at the two ends.
_AT_AN_END = r"\[(?:CLS|SEP|PAD|BOS|EOS)\]"
_LAST = re.compile(rf"(?:(?:{_TOKEN}|{_AT_AN_END}|<s>|</s>)(?:assistant|model|user)?)\Z")
_FIRST = re.compile(rf"\s*(?:{_TOKEN}|{_AT_AN_END}|<s>)(?:(?:assistant|model)(?=\s|<|\Z))?")
_IN_THE_MIDDLE = re.compile(rf"{_TOKEN}|</s>")
# Tokens that end or begin a turn.
_TURNS = re.compile(
    r"<[|｜](?i:im_(?:end|start|user|assistant|system)|eo[tm](?:_id)?|eos|hy_eos|end|return|endoftext|startoftext|endofturn|separator|begin"
    r"|(?:end|begin|start)[_▁]of[_▁](?:text|turn|sentence|role|turn_token)|start|(?:start|end)_header_id|header_(?:start|end)|role_end"
    r"|(?:hy_)?(?:user|human|assistant|system)(?:_start|_end)?|observation)[|｜]>"
    r"|\[\|(?:endofturn|user|assistant|system)\|\]"
    r"|<(?:bos|eos|eot|eod|eoa|eoh|BOS_TOKEN|EOS_TOKEN|seed:[be]os|(?:end|start)_of_turn|end_of_(?:sentence|text))>|<\|turn>|<turn\|>"
    r"|\[EO[STM]\]|</s>|\[/?INST\]|<role>|<reserved_(?:10[67]|19[56])>|\[UNUSED_TOKEN_14[56]\]|<extra_id_1>|<SPECIAL_1[012]>|\[e~\[|\]~[b!]\]"
)
_BEHIND = re.compile(rf"[ \t]*(?:\n|\Z|{_TOKEN}|<s>|{_ROLE}|\w[\w ]{{0,20}}:)|\w|#")

# Turns without a token, by the names of speakers in chats and templates (Alpaca, Vicuna).
_USER = r"(?:User|USER|Human|HUMAN|用户)"
_LABEL = re.compile(
    rf"^[ \t]*(?:(?:\#{{1,4}}[ ]?|\*\*)?{_USER}(?:\*\*)?[ ]?[:：]|\#{{2,4}}[ ](?:Instruction|Human|User)[ ]?:[ \t]*$|user[ \t]*$)"
    r"|^[ \t]*<(?i:human|user)>[ ]?[:：]|^[ \t]*Q:(?=\s)"
    r"|(?<=[^\s\w])assistant(?=\n\n)|(?<=\d)assistant(?=\n\n)|^user:|(?<=[.!?])[ ]USER:(?=\s)",
    re.MULTILINE,
)
# Names after a final answer: since nothing may follow it, more names are certain.
_NAMES = "User|Human|Assistant|Question|Problem|Instruction|Input|Response|Q|Next question|用户|问题"
_BEHIND_THE_END = re.compile(
    r"^[ \t]*\#\#\#\#[ ]?\S[^\n]{0,200}?(?P<turn>(?<=[^\sA-Z])assistant(?=\n)"
    rf"|\s{{0,20}}\n\s{{0,20}}(?:(?:\#{{1,4}}[ ]?|\*\*)?(?:{_NAMES})[ ]?\d{{0,3}}(?:\*\*)?[ ]?[:：]"
    r"|<(?:human|user|bot|assistant)>[ ]?[:：]"
    r"|\#{2,4}[ ](?:Instruction|Question|Problem|User|Human|Input|Response)\b|(?:user|human|assistant|model|system)[ \t]*$))",
    re.MULTILINE | re.IGNORECASE,
)
_LONE_ASSISTANT = re.compile(r"^(?:assistant|model)[ \t]*$", re.MULTILINE)
_ANSWER_BEHIND = re.compile(r"^[ \t]*A:\s", re.MULTILINE)
_NAMED_ASSISTANT = re.compile(r"^(?:assistant|model):", re.MULTILINE)
# Llama 3's own header without its tokens.
_OWN_HEADER = re.compile(r"\s*assistant\n\n\s*(?=\S)")
# Text that introduces a dialogue within the answer.
_INTRODUCED = re.compile(
    r"(?:[:：]|\A|^\s*(?:\#{1,6}[ ].*|[-*_=]{3,}|\*\*.*\*\*|(?:```|~~~).*)"
    r"|^\s*[*_]{0,2}(?!(?i:final|answer|solution|result|explanation|note|choice|therefore)\b)[\w][\w .'-]{0,30}[*_]{0,2}[ ]?[:：].*)\s*\Z",
    re.MULTILINE,
)
_DIALOGUE = re.compile(r"(?i:dialog|conversation|\bchat|\bscript|transcript|exchange|interaction|对话)")
_LOOKED_BACK = 300


def own_turn(text: str) -> tuple[str, str]:
    """Return the model's own turn without special tokens, and an empty text; or an empty turn and the marker that makes it unusable.

    A text without markers stays the same byte for byte.
    """
    if "_of_box|>" in text:
        text = _without_boxes(text)
    header = _OWN_HEADER.match(text)
    begin, end = header.end() if header else 0, len(text)
    # HTML strikes text through with a pair of <s> and </s>; any other is a special token.
    strikes_out = "</s>" in text.rstrip().removesuffix("</s>")
    while first := _FIRST.match(text, begin):
        if first[0].endswith("<s>") and strikes_out:
            break
        if others := _OTHERS_TURN.match(text, first.start() + len(first[0]) - len(first[0].lstrip())) or _TOOL.search(first[0]):
            return "", others[0]
        begin = first.end()
    struck = text.find("<s>", begin)
    strikes_out = 0 <= struck < text.rfind("</s>") and text.count("</s>", begin) <= text.count("<s>", begin)
    end = max(begin, len(text.rstrip()))
    trimmed = end
    while last := _LAST.search(text, max(begin, end - _LONGEST_TOKEN), end):
        if ("</s>" in last[0] or "<s>" in last[0]) and strikes_out:
            break
        if _TOOL.search(last[0]):
            return "", last[0]
        end = last.start()
        while end > begin and text[end - 1].isspace():
            end -= 1
    said = text[begin:] if end == trimmed else text[begin:end]
    mentions = Mentions(said)
    said, marker = _before_tokens(said, mentions, strikes_out)
    return ("", marker) if marker else _before_names(said, mentions)


def _without_boxes(text: str) -> str:
    """Return the text without GLM's box tokens, keeping what is in the boxes."""
    mentions = Mentions(text)
    kept, at = [], 0
    for box in islice(_BOX.finditer(text), MOST_MARKERS):
        if not mentions.speaks_of(0, *box.span()):
            kept.append(text[at : box.start()])
            at = box.end()
    return "".join([*kept, text[at:]])


def _before_tokens(text: str, mentions: Mentions, strikes_out: bool) -> tuple[str, str]:
    """Return the text before the first special token if that ends the turn; otherwise an empty text and the token."""
    for number, token in enumerate(_IN_THE_MIDDLE.finditer(text)):
        start, end = token.span()
        if number == MOST_MARKERS:
            return "", token[0]
        struck = token[0] == "</s>" and strikes_out and not re.compile(r"\s*(?:<s>\s*)?\[INST\]").match(text, end)
        if struck or mentions.speaks_of(0, start, end):
            continue
        if _TURNS.match(token[0]) and _is_between_turns(text, start, end):
            return text[:start].rstrip(), ""
        if token[0] != "</s>":
            return "", token[0]
    return text, ""


def _is_between_turns(text: str, start: int, end: int) -> bool:
    """Return whether a token follows the text as a turn's end does, and not as a word of a sentence about tokens."""
    gap = start
    while gap > 0 and text[gap - 1].isspace():
        gap -= 1
    glued = gap == start
    apart = not glued and "\n" not in text[gap:start] and text[gap - 1].isalpha()
    if apart or _OTHERS_TURN.match(text, start):
        return not apart
    behind = _BEHIND.match(text, end)
    return behind is not None and (glued or not behind[0].isalnum() or len(behind[0]) > 1)


def _before_names(text: str, mentions: Mentions) -> tuple[str, str]:
    """Return the text before a turn that the model invented after its final answer.

    A turn that follows anything else, except the introduction of a dialogue, gives an empty text and the turn's name.
    """
    if "####" in text and (found := _BEHIND_THE_END.search(text)) and not mentions.speaks_of(0, *found.span("turn")):
        text = text[: found.start("turn")]
    for label in islice(_LABEL.finditer(text), MOST_MARKERS):
        start, end = label.span()
        if mentions.speaks_of(0, start, end):
            continue
        name = label[0].strip()
        if name == "user" and not _LONE_ASSISTANT.search(text, end):
            continue
        if name == "Q:" and not _ANSWER_BEHIND.search(text, end):
            continue
        if name == "user:" and not _NAMED_ASSISTANT.search(text, end):
            continue
        before = text[:start].rstrip()
        if not before:
            return text, ""
        dialogue = _INTRODUCED.search(before, before.rfind("\n") + 1) or _DIALOGUE.search(before[-_LOOKED_BACK:])
        return (text, "") if dialogue and name != "assistant" and not name.startswith("#") else ("", name)
    return text, ""
