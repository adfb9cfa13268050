"""Human review: push samples to Argilla and pull people's decisions. The only part that imports argilla.

| file | what |
| --- | --- |
| `serve.py`, `server/` | an Argilla server on this machine |
| `selection.py`, `signals.py` | which samples people see |
| `page.py` | what they see of one: fields, questions, suggestions |
| `exchange.py` | push, pull, and status |
| `client.py` | the connection to a server, and its errors |
| `kept.py` | pushed records and people's answers, durable in the output folder |
| `ruling.py` | the decision that several people's answers lead to |
| `applying.py` | the samples with the decisions, edited ones checked again |
| `agreement.py` | how far people agree, with one another and with the checks |

`run.py` passes in a run as a `work.Work`, and decides what is written and when.
"""
