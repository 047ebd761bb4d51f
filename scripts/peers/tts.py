#!/usr/bin/env python3
"""kokoro-onnx as the other side of `caal bench tts --peer`.

One line in, one line out, so that both engines speak the same sentences in turn, in one run:
in: {"phonemes": TEXT, "voice": NAME, "speed": 1.0}; out: {"ms": MILLISECONDS, "seconds": OF_SOUND, "rss_mb": PEAK}.
The first line out says what runs: {"ready": NAME, "load_ms": ...}.

It is given phonemes, so that it does the same work and its own text front end is not in its time. All
else as its documentation has it (trimming on), with the number of threads that the other side has.

usage: tts.py MODEL_DIR [THREADS]; needs: pip install kokoro-onnx
"""

import json
import pathlib
import sys
import tempfile
import time

import numpy as np


def peak_rss_mb():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def main():
    folder = pathlib.Path(sys.argv[1])
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    import importlib.metadata

    import kokoro_onnx
    import onnxruntime

    began = time.perf_counter()
    # kokoro-onnx reads one archive of all voices; the same numbers, packed in its form.
    voices = {
        file.stem: np.fromfile(file, dtype="<f4").reshape(510, 1, 256)
        for file in sorted((folder / "voices").glob("*.bin"))
    }
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    with tempfile.NamedTemporaryFile(suffix=".npz") as archive:
        np.savez(archive, **voices)
        archive.flush()
        engine = kokoro_onnx.Kokoro.from_session(
            session, archive.name, vocab_config=str(folder / "vocab.json")
        )
        # The archive is read when a voice is first asked for; keep it in memory instead of the file.
        engine.voices = voices
    version = importlib.metadata.version("kokoro-onnx")
    name = f"kokoro-onnx {version}, onnxruntime {onnxruntime.__version__}, {threads} threads"
    load_ms = (time.perf_counter() - began) * 1e3
    print(json.dumps({"ready": name, "load_ms": load_ms}), flush=True)
    for line in sys.stdin:
        wish = json.loads(line)
        began = time.perf_counter()
        sound, rate = engine.create(
            wish["phonemes"], voice=wish["voice"], speed=wish["speed"], is_phonemes=True
        )
        ms = (time.perf_counter() - began) * 1e3
        answer = {"ms": ms, "seconds": len(sound) / rate, "rss_mb": peak_rss_mb()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
