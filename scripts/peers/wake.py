"""Python openwakeword 0.5.1 with its ONNX backend, as the reference and the rival of `caal wake`.

    wake.py scores --models DIR [--words a,b] FILE.wav ...      scores of every 80 ms step, as TSV
    wake.py answer --models DIR                                 CPU time, for `caal bench wake --peer`

The second answers line by line: {"wav": FILE, "words": [NAME, ...]} in, {"seconds": OF_SOUND, "cpu_percent":
..., "worst_ms": ..., "rss_mb": PEAK} out. The first line out says what runs: {"ready": NAME, "load_ms": 0}.

DIR holds melspectrogram.onnx, embedding_model.onnx and the classifiers. WAV files are 16 kHz, mono,
16 bit. The package wants an old TensorFlow Lite that is not needed here, so install it without:

    pip install onnxruntime==1.31.1 numpy scipy scikit-learn requests tqdm
    pip install --no-deps openwakeword==0.5.1
"""

import argparse
import json
import sys
import time
import wave
from pathlib import Path

import numpy as np
import openwakeword

STEP = 1280
# Rows of the feature buffer at the start; the package keeps up to 120.
ROWS = 40


def start_features():
    """The written feature buffer from which both sides start (the package's own is random)."""
    return ((np.arange(ROWS * 96) % 17 - 8) / 4).astype(np.float32).reshape(ROWS, 96)


def read(path):
    with wave.open(str(path)) as wav:
        kind = wav.getframerate(), wav.getnchannels(), wav.getsampwidth()
        if kind != (16000, 1, 2):
            sys.exit(f"{path}: {kind}, not 16 kHz, mono, 16 bit")
        return np.frombuffer(wav.readframes(wav.getnframes()), dtype="<i2")


def load(folder, words):
    folder = Path(folder)
    model = openwakeword.Model(
        wakeword_models=[str(folder / f"{word}.onnx") for word in words],
        inference_framework="onnx",
        melspec_model_path=str(folder / "melspectrogram.onnx"),
        embedding_model_path=str(folder / "embedding_model.onnx"),
    )
    return model


def restart(model):
    model.reset()
    features = model.preprocessor
    features.raw_data_buffer.clear()
    features.raw_data_remainder = np.empty(0)
    features.accumulated_samples = 0
    features.melspectrogram_buffer = np.ones((76, 32))
    features.feature_buffer = start_features()


def score(model, step, word):
    """One number per word: the best class of a model with several, "none of them" left out."""
    said = model.predict(step)
    labels = model.class_mapping[word]
    if model.model_outputs[word] == 1:
        return said[word]
    return max(said[label] for number, label in labels.items() if number != "0")


def scores(args):
    # `predict` answers for all models at once, so each word has a model of its own here.
    models = {word: load(args.models, [word]) for word in args.words}
    print("clip", "step", *args.words, sep="\t")
    for path in args.files:
        samples = read(path)
        for model in models.values():
            restart(model)
        for i in range(len(samples) // STEP):
            step = samples[i * STEP : (i + 1) * STEP]
            row = [f"{score(models[word], step, word):.7f}" for word in args.words]
            print(Path(path).name, i, *row, sep="\t")


def peak_rss_mb():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def answer(args):
    print(json.dumps({"ready": "openwakeword 0.5.1", "load_ms": 0}), flush=True)
    for line in sys.stdin:
        wish = json.loads(line)
        print(json.dumps(cost(load(args.models, wish["words"]), read(wish["wav"]))), flush=True)


def cost(model, samples):
    steps = [samples[i : i + STEP] for i in range(0, len(samples) - STEP + 1, STEP)]
    for step in steps[:25]:
        model.predict(step)
    restart(model)
    used, worst = time.process_time(), 0.0
    for step in steps:
        before = time.perf_counter()
        model.predict(step)
        worst = max(worst, time.perf_counter() - before)
    used = time.process_time() - used
    seconds = len(steps) * STEP / 16000
    return {
        "seconds": seconds,
        "cpu_percent": 100 * used / seconds,
        "worst_ms": 1000 * worst,
        "rss_mb": peak_rss_mb(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["scores", "answer"])
    parser.add_argument("--models", required=True)
    parser.add_argument("--words", default="hey_jarvis", type=lambda text: text.split(","))
    parser.add_argument("files", nargs="*")
    args = parser.parse_intermixed_args()
    {"scores": scores, "answer": answer}[args.what](args)


if __name__ == "__main__":
    main()
