#!/usr/bin/env python3
"""faster-whisper as the other side of `caal bench stt --peer`.

One line in, one line out, so that both engines hear the same clips in turn, in one run:
in: a JSON object {"wav": PATH}; out: {"ms": MILLISECONDS, "text": TEXT, "rss_mb": PEAK}.
The first line out says what runs: {"ready": NAME, "load_ms": ...}.

Used as its documentation advises for this task: int8, beam 1, the language given, no VAD filter,
no timestamps. The time is that of transcribe() with all its segments; reading the file is not in it.

usage: stt.py MODEL_DIR [THREADS]; needs: pip install faster-whisper
"""

import json
import sys
import time
import wave

import numpy as np


def peak_rss_mb():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def main():
    folder = sys.argv[1]
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    import faster_whisper

    began = time.perf_counter()
    model = faster_whisper.WhisperModel(
        folder, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
    )
    name = f"faster-whisper {faster_whisper.__version__}, int8, beam 1, {threads} threads"
    load_ms = (time.perf_counter() - began) * 1e3
    print(json.dumps({"ready": name, "load_ms": load_ms}), flush=True)
    for line in sys.stdin:
        with wave.open(json.loads(line)["wav"]) as wav:
            assert wav.getframerate() == 16000 and wav.getnchannels() == 1
            pcm = np.frombuffer(wav.readframes(wav.getnframes()), np.int16)
        audio = pcm.astype(np.float32) / 32768.0
        began = time.perf_counter()
        segments, _ = model.transcribe(
            audio, language="en", beam_size=1, vad_filter=False, without_timestamps=True
        )
        text = "".join(segment.text for segment in segments)
        ms = (time.perf_counter() - began) * 1e3
        print(json.dumps({"ms": ms, "text": text, "rss_mb": peak_rss_mb()}), flush=True)


if __name__ == "__main__":
    main()
