"""People decide: samples go to Argilla, what people say of them comes back. The only part that imports argilla.

| file | what |
| --- | --- |
| `serve.py`, `server/` | an Argilla on this machine |
| `selection.py`, `signals.py` | which samples people see |
| `page.py`, `origin.py` | what they see of one: fields, questions, suggestions; its question in parts |
| `exchange.py` | push, pull, and where a review stands |
| `client.py` | talking to a server, and what can go wrong with it |
| `kept.py` | what was pushed and answered, durable in the output folder |
| `ruling.py` | what several people's answers come to |
| `applying.py` | the samples with the decisions, edited ones checked again |
| `agreement.py` | how far people agree, with one another and with the checks |

A run is handed to them as a `work.Work`; what is written when is for `run.py`.
"""
