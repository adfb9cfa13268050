#!/usr/bin/env bash
# The whole study: makes teacher and student, serves the teacher, runs the study. Run from the repository's root; `make study` does, after
# setting up. Stopped and started again, it goes on where it stopped.
#
#   bash examples/study/run.sh [STUDY.yml]
set -euo pipefail
here=examples/study
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1 AXOLOTL_DO_NOT_TRACK=1 OPENAI_API_KEY=none
# Threads that wait for others sleep: on a busy machine spinning ones made the same work take ten times as long.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"

python "$here/models.py" "$here/out/models"
python "$here/serve.py" "$here/out/models/teacher" 8427 python -m axolotl_synthetic study "${1:-$here/study.yml}"
