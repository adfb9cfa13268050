"""Chats: the user's last turn is the question. No answer can be told right from wrong.

The earlier turns and the system message stay with the question in every call and in the training file. `seeds/chats.py` reads a file's
chats, and `dataset.py` decides which turns are trained on.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from axolotl_synthetic.records import Message, Question, Seed
from axolotl_synthetic.tasks.base import PATTERNS, TaskBase
from axolotl_synthetic.tasks.replies import read_question
from axolotl_synthetic.tasks.templates import behind_turns, chat

_TITLE = re.compile(
    r"\A[*_#\s]*(?:the )?(?:(?:new|next|reworded|other)\s+)?(?:user|message|user message|reword(?:ed)?)[*_]*\s*:[*_]*\s*", re.IGNORECASE
)
_SPEAKER = re.compile(r"\A[*_#\s]*(?:the )?assistant[*_]*\s*:[*_]*\s*", re.IGNORECASE)


class Chat(TaskBase):
    name = "chat"
    required: tuple[str, ...] = ("messages",)
    optional: tuple[str, ...] = ("system",)
    has_final_answer = False
    asks = False
    checks: ClassVar[tuple[str, ...]] = ("judge", "near_duplicate", "style")
    prompts: ClassVar[str] = "chat"
    about = "message"

    def prompt(self, question: Question) -> str:
        """Return the chat up to the user's last turn, for people and for a judge. The student reads `question.chat` instead."""
        return question.transcript if question.turns else question.text

    def values(self, question: Question) -> Mapping[str, Hashable]:
        return {**super().values(question), "others": ""}

    def answer_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return the chat itself, and nothing more: the teacher reads only its system message and turns."""
        return question.chat

    def rephrase_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        return behind_turns(question, self.chat("rephrase", question))

    def new_question_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return the augmenter's messages: they ask for another message here, and show those of seeds with the same earlier turns."""
        places = [place for example in examples for place in (example.question, self.opening(example.question))]
        same = dict.fromkeys(" ".join(place.text.split()) for place in places if place.turns == question.turns)
        others = "\n".join(f"- {text}" for text in list(same)[:PATTERNS])
        values = {**self.values(question), "others": others}
        return behind_turns(question, chat(self.prompts, "new_question", (), self.own_prompts, **values))

    def opening(self, question: Question) -> Question:
        """Return the start of the seed's conversation: the user's first message after the system message."""
        first = next((text for role, text in question.turns if role == "user"), question.text)
        return replace(question, text=first, turns=tuple(turn for turn in question.turns if turn[0] == "system"))

    def going_on(self, question: Question, answer: str) -> Question:
        """Return the conversation after an answer, where the user's next message is still missing."""
        return replace(
            question, turns=(*question.turns, ("user", question.text), ("assistant", self.read_answer(answer, question))), text=""
        )

    def next_message_messages(self, question: Question) -> tuple[Message, ...]:
        """Return the messages that ask the augmenter for the user's next message."""
        return behind_turns(question, self.chat("next_message", question))

    def read_rephrase(self, reply: str, question: Question) -> Question | None:
        text = read_question(_TITLE.sub("", reply.strip(), count=1))
        return None if text is None else replace(question, text=text)

    def read_new_question(self, reply: str, question: Question) -> Question | None:
        # The new question stays within the seed's conversation.
        return self.read_rephrase(reply, question)

    def read_answer(self, reply: str, question: Question) -> str:
        """Return the answer without a leading `Assistant:`, which some models write and the student would learn."""
        return _SPEAKER.sub("", reply.strip(), count=1)

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        return one.split() == other.split()


TASK = Chat()
