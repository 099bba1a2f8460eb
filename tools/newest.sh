#!/usr/bin/env bash
# Once a month: the tests on the newest TensorFlow and Keras there are, pre-releases included, in an environment of their
# own. What breaks is said in docs/troubles.md. `tools/newest.sh FOLDER` keeps the environment in FOLDER.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-$(mktemp -d)}
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet -e ".[test]"
"$folder/bin/pip" install --quiet --pre --upgrade tensorflow keras  # pip names the packages that do not allow these yet
"$folder/bin/python" -c "import keras, tensorflow as tf; print('TensorFlow', tf.__version__, 'Keras', keras.__version__)"
exec "$folder/bin/python" -m pytest
