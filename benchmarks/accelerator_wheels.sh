#!/bin/sh
# Collects what an accelerator without a network lacks: wheels of Keras,
# keras-hub and their small needs, for Python 3.12 on x86-64 Linux. TensorFlow
# is left out; JAX, PyTorch and what they need are expected to be there.
#
#     benchmarks/accelerator_wheels.sh [FOLDER]    # .wheels, about 32 MiB
#
# Versions are those of constraints.txt. benchmarks/accelerator.py --wheels
# FOLDER installs those that are missing there.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$here/.wheels}
python=${PYTHON:-python3}

# Keras and keras-hub; what keras_irl imports; the peers.
names="keras keras-hub kagglehub kagglesdk namex optree grain array-record
portpicker psutil absl-py h5py ml-dtypes rich markdown-it-py mdurl pygments packaging regex
sentencepiece tokenizers huggingface-hub hf-xet httpx2 httpcore2 truststore
anyio idna h11 typing-extensions pyyaml filelock fsspec safetensors sacrebleu portalocker
tabulate colorama nltk joblib click tqdm jinja2 markupsafe etils cloudpickle
rouge-score six transformers trl accelerate datasets dill multiprocess xxhash"

mkdir -p "$folder"
for name in $names; do
    pinned=$(sed -n "s/^\($name==[^ ;]*\).*/\1/p" "$here/constraints.txt")
    "$python" -m pip download -qq --no-deps --only-binary=:all: \
        --python-version 3.12 --implementation cp \
        --platform manylinux_2_34_x86_64 --platform manylinux_2_31_x86_64 \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
        --platform manylinux_2_24_x86_64 --platform manylinux_2_17_x86_64 \
        --platform manylinux2014_x86_64 --platform manylinux1_x86_64 \
        --dest "$folder" "${pinned:-$name}" ||
        # There is no wheel, but what one is made of.
        "$python" -m pip wheel -qq --no-deps --wheel-dir "$folder" \
            "${pinned:-$name}" || echo "Not found: $name" >&2
done
# All of it travels at once, with the working tree, in 64 MiB.
du -sm "$folder"
