"""What goes to the Hugging Face Hub, and how: licences that forbid it (`licences.py`), the files (`files.py`), the Hub itself (`client.py`,
the only importer of huggingface_hub). The command is in `publishing.py`."""
