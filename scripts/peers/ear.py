"""The Python reference of Silero VAD and Smart Turn, as golden numbers for the tests.

    ear.py vad --model silero_vad.onnx FILE.wav ...              probability of every 32 ms window, as TSV
    ear.py turn-end --model smart-turn-v3.2-cpu.onnx FILE.wav ... probability that the turn is complete

WAV files are 16 kHz, mono, 16 bit. `turn-end` judges each file whole, its first half, and all files
joined three times over (more than 8 s). Needs `pip install onnxruntime numpy`, and for `turn-end` also
`pip install --no-deps pipecat-ai==1.14.0`.
"""

import argparse
import importlib.util
import sys
import wave
from pathlib import Path

import numpy as np
import onnxruntime


def read(path):
    with wave.open(str(path)) as wav:
        kind = wav.getframerate(), wav.getnchannels(), wav.getsampwidth()
        if kind != (16000, 1, 2):
            sys.exit(f"{path}: {kind}, not 16 kHz, mono, 16 bit")
        return np.frombuffer(wav.readframes(wav.getnframes()), dtype="<i2").astype(np.float32) / 32768


def vad(session, files):
    # silero-vad 6.2.3, utils_vad.OnnxWrapper.
    print("clip", "window", "probability", sep="\t")
    for path in files:
        samples = read(path)
        state, context = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32)
        for i in range(len(samples) // 512):
            window = samples[i * 512 : (i + 1) * 512]
            sound = np.concatenate([context, window])
            said, state = session.run(
                None, {"input": sound[None], "state": state, "sr": np.array(16000, dtype=np.int64)}
            )
            context = window[-64:]
            print(Path(path).name, i, f"{said[0, 0]:.7f}", sep="\t")


def features():
    """Only this file of the package: the rest of it wants many others."""
    package = importlib.util.find_spec("pipecat")
    path = Path(package.submodule_search_locations[0]) / "audio/turn/smart_turn/_whisper_features.py"
    spec = importlib.util.spec_from_file_location("features", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.compute_whisper_log_mel_features


def turn_end(session, files):
    # pipecat-ai 1.14.0, local_smart_turn_v3.LocalSmartTurnAnalyzerV3._predict_endpoint.
    compute = features()
    clips = [(Path(path).name, read(path)) for path in files]
    cases = [(name, "whole", sound) for name, sound in clips]
    cases += [(name, "first half", sound[: len(sound) // 2]) for name, sound in clips]
    cases.append(("all", "three times", np.concatenate([sound for _, sound in clips] * 3)))
    print("clip", "part", "probability", sep="\t")
    for name, part, sound in cases:
        sound = np.pad(sound[-128000:], (max(0, 128000 - len(sound)), 0))
        said = session.run(None, {"input_features": compute(sound, do_normalize=True)[None]})
        print(name, part, f"{said[0][0].item():.7f}", sep="\t")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["vad", "turn-end"])
    parser.add_argument("--model", required=True)
    parser.add_argument("files", nargs="+")
    args = parser.parse_intermixed_args()
    session = onnxruntime.InferenceSession(args.model)
    {"vad": vad, "turn-end": turn_end}[args.what](session, args.files)


if __name__ == "__main__":
    main()
