"""What runs in the Argilla server's own environment, started by `review/serve.py`. Nothing here is imported by the rest of the package:
that environment has argilla_server and no axolotl_synthetic."""
