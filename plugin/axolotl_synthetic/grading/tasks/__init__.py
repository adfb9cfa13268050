"""lm-eval tasks of this package, as a folder for `lm_eval --include_path`.

It holds a YAML for each task, and `metrics.py`, in which lm-eval looks for the functions that they name.
"""
