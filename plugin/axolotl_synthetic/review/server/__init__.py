"""Code that runs in the Argilla server's own environment, started by `review/serve.py`.

The rest of the package imports nothing from here: that environment has argilla_server and no axolotl_synthetic.
"""
