"""A person in a LiveKit room, through LiveKit's own SDK (PyPI livekit, libwebrtc), who asks recorded
questions and notes when answers are heard. One wish as JSON a line, one answer a line; all times are of one
monotonic clock, in milliseconds. Usage: room.py URL TOKEN
Wishes: {"do": "ask", "wav": FILE} | {"do": "interrupt", "wav": FILE, "question": FILE}
The files are 16 kHz mono 16 bit, from the first sample of speech to the last."""

import asyncio
import json
import sys
import time
import wave

import numpy
from importlib.metadata import version
from livekit import rtc

HEARD_RATE = 48000
PIECE = 160  # samples of the microphone handed over at once: 10 ms at 16 kHz
AUDIBLE = 0.003 * 32768  # loudness of 10 ms from which they are heard: -50 dBFS
PATIENCE = 30.0  # seconds for anything
PAUSE = 0.3  # seconds of silence that end what is said, where somebody cut in
OVER = 0.7  # seconds of silence after which an answer is over
HEARD_BEFORE = 2.0  # seconds of an answer that are heard before it is cut short


class Microphone:
    """Ten milliseconds every ten milliseconds, straight to the encoder: what is to be said, or silence."""

    def __init__(self, source):
        self.source, self.left, self.first, self.last = source, None, 0.0, 0.0

    def say(self, path):
        with wave.open(path) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
            sound = numpy.frombuffer(file.readframes(file.getnframes()), dtype=numpy.int16)
        pieces = [sound[at : at + PIECE] for at in range(0, len(sound), PIECE)]
        self.first = self.last = 0.0
        self.left = [numpy.pad(piece, (0, PIECE - len(piece))) for piece in pieces]

    async def run(self):
        silence = numpy.zeros(PIECE, dtype=numpy.int16)
        due = time.monotonic()
        while True:
            due += 0.01
            await asyncio.sleep(due - time.monotonic())
            piece = self.left.pop(0) if self.left else silence
            now = time.monotonic()
            if self.left is not None:
                self.first = self.first or now - 0.01
                if not self.left:
                    self.left, self.last = None, now
            await self.source.capture_frame(rtc.AudioFrame(piece.tobytes(), 16000, 1, PIECE))


class Ear:
    """When something was audible, as it comes out of the client's jitter buffer."""

    def __init__(self):
        self.begins, self.last, self.frames = [], 0.0, 0

    async def run(self, track):
        async for event in rtc.AudioStream(track, sample_rate=HEARD_RATE, num_channels=1):
            now = time.monotonic()
            sound = numpy.frombuffer(bytes(event.frame.data), dtype=numpy.int16).astype(float)
            self.frames += 1
            if numpy.sqrt((sound**2).mean()) < AUDIBLE:
                continue
            loud = numpy.flatnonzero(abs(sound) >= AUDIBLE)
            if now - self.last > PAUSE:
                self.begins.append(now + loud[0] / HEARD_RATE)
            self.last = now + loud[-1] / HEARD_RATE

    def begin_after(self, moment):
        return next((t for t in self.begins if t > moment), None)


class Person:
    def __init__(self, room, microphone, ear):
        self.room, self.mic, self.ear = room, microphone, ear
        self.state, self.turns = "", []

    async def until(self, what, patience=PATIENCE):
        end = time.monotonic() + patience
        while not (seen := what()) and time.monotonic() < end:
            await asyncio.sleep(0.005)
        return seen

    def quiet(self):
        return time.monotonic() - self.ear.last > OVER and self.state not in ("speaking", "thinking")

    async def ask(self, wish):
        await self.until(self.quiet)
        begun = time.monotonic()
        self.mic.say(wish["wav"])
        await self.until(lambda: self.mic.last)
        sent = self.mic.last
        early = self.ear.begin_after(begun)
        heard = None if early else await self.until(lambda: self.ear.begin_after(sent))
        if heard or early:
            await self.until(self.quiet, 60)
        turn = next((turn for at, turn in self.turns if at > begun), None)
        return {"heard_ms": heard and (heard - sent) * 1000, "cut_in": bool(early), "turn": turn,
                "answer_ms": heard and (self.ear.last - heard) * 1000}

    async def interrupt(self, wish):
        if self.state not in ("speaking", "thinking"):
            await self.until(self.quiet)
            self.mic.say(wish["question"])
            await self.until(lambda: self.mic.last)
        asked = self.mic.last
        heard = await self.until(lambda: self.ear.begin_after(asked))
        audible = lambda: time.monotonic() - self.ear.last < 0.03
        long_enough = lambda: audible() and self.ear.last - heard > HEARD_BEFORE
        if not heard or not await self.until(long_enough):
            return {"silent_ms": None, "why": "no long answer was heard"}
        self.mic.say(wish["wav"])
        await self.until(lambda: self.mic.first)
        begun = self.mic.first
        silent = await self.until(lambda: time.monotonic() - self.ear.last > PAUSE)
        last = self.ear.last
        await self.until(lambda: self.mic.last)
        # Sound again before the interruption was over: it was taken for none.
        resumed = self.ear.begin_after(last) is not None
        why = "" if silent else "the answer went on for 30 s"
        return {"silent_ms": (last - begun) * 1000 if silent else None, "resumed": resumed, "why": why}


async def main(url, token):
    began = time.monotonic()
    room, ear, tasks = rtc.Room(), Ear(), set()
    me = Person(room, None, ear)

    def start(work):
        task = asyncio.create_task(work)
        tasks.add(task)
        # Nothing may fail unseen.
        task.add_done_callback(lambda t: t.cancelled() or t.exception() is None or asyncio.get_running_loop().stop())

    def state_of(who):
        me.state = who.attributes.get("lk.agent.state", me.state)

    def packet(data):
        if data.topic == "caal.turn":
            me.turns.append((time.monotonic(), json.loads(data.data)))

    room.on("track_subscribed", lambda track, _, who: start(ear.run(track)))
    room.on("participant_attributes_changed", lambda _, who: state_of(who))
    room.on("participant_connected", state_of)
    room.on("data_received", packet)
    for topic in ("lk.transcription", "lk.chat"):
        room.register_text_stream_handler(topic, lambda reader, who: start(reader.read_all()))
    await room.connect(url, token, rtc.RoomOptions(auto_subscribe=True))
    source = rtc.AudioSource(16000, 1, queue_size_ms=0)
    track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
    wanted = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await room.local_participant.publish_track(track, wanted)
    me.mic = Microphone(source)
    start(me.mic.run())
    # The greeting first, where there is one.
    await me.until(lambda: ear.begins, 15)
    await me.until(me.quiet)
    name = f"livekit {version('livekit')}"
    print(json.dumps({"ready": name, "load_ms": (time.monotonic() - began) * 1000}), flush=True)

    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        wish = json.loads(line)
        answer = await (me.ask if wish["do"] == "ask" else me.interrupt)(wish)
        print(json.dumps(answer), flush=True)
    await room.disconnect()


asyncio.run(main(*sys.argv[1:3]))
