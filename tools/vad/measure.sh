#!/bin/sh
# The table of docs/speech.md. From the root: tools/vad/measure.sh [FOLDER]; needs espeak-ng, flite and the Python of
# tools/demo-model (PYTHON, python3 by default). VAD_THRESHOLD=0.6 measures another threshold.
set -eu
folder=${1:-target/vad}
[ -e "$folder/truth.json" ] || "${PYTHON:-python3}" tools/vad/corpus.py "$folder"
VAD_CORPUS=$folder cargo test --test audio -- --ignored --nocapture speech_is_measured
