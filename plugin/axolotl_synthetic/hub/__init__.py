"""Publishing to the Hugging Face Hub; the command is in `publishing.py`.

`licences.py` finds licences that forbid it, `files.py` writes the files, and `client.py`, the only importer of huggingface_hub, sends them.
"""
