"""Tasks of lm-eval that come with the package. This folder is what `lm_eval --include_path` takes; it holds a YAML for each task, and
`metrics.py`, where lm-eval looks for the functions that they name."""
