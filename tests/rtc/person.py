"""A person in a LiveKit room, through LiveKit's own SDK: takes commands as JSON, one a line, and writes
what happens as JSON, one a line. Usage: person.py URL TOKEN v0|v1"""

import asyncio
import json
import sys

import numpy as np
from livekit import rtc

RATE = 48000
heard = {}


def tell(event, **facts):
    print(json.dumps({"event": event, **facts}), flush=True)


def name(who):
    return getattr(who, "identity", None)


async def record(track, who):
    pieces = heard.setdefault(who, [])
    async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
        pieces.append(np.frombuffer(bytes(event.frame.data), dtype=np.int16).astype(float))


def measure(who, seconds):
    pieces = heard.get(who) or [np.zeros(1)]
    sound = np.concatenate(pieces)[-int(seconds * RATE):]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    windows = sound[: len(sound) // 960 * 960].reshape(-1, 960)
    loud = np.sqrt((windows**2).mean(axis=1)) if len(windows) else np.zeros(1)
    tell(
        "measured",
        who=who,
        seconds=len(sound) / RATE,
        hz=float(np.argmax(spectrum) * RATE / max(len(sound), 1)),
        rms=float(np.sqrt((sound**2).mean())),
        quietest=float(loud.min()),
    )


async def read(reader, who):
    text = await reader.read_all()
    tell("text", topic=reader.info.topic, by=who, attributes=reader.info.attributes, text=text)


async def tone(source, hz, stop):
    at = 0
    while not stop.is_set():
        phase = 2 * np.pi * hz * (at + np.arange(960)) / RATE
        piece = (10000 * np.sin(phase)).astype(np.int16)
        at += 960
        await source.capture_frame(rtc.AudioFrame(piece.tobytes(), RATE, 1, 960))


async def main(url, token, version):
    room = rtc.Room()
    tasks = []
    begin = lambda work: tasks.append(asyncio.create_task(work))

    @room.on("track_subscribed")
    def _(track, publication, who):
        tell("subscribed", who=name(who), name=publication.name, source=int(publication.source))
        begin(record(track, name(who)))

    @room.on("data_received")
    def _(data):
        tell("data", topic=data.topic, by=name(data.participant), text=bytes(data.data).decode())

    @room.on("participant_attributes_changed")
    def _(changed, who):
        tell("attributes", who=name(who), changed=changed)

    for event in (
        "participant_connected participant_disconnected track_muted track_unmuted "
        "local_track_subscribed reconnecting reconnected disconnected active_speakers_changed"
    ).split():
        room.on(event, (lambda e: lambda *a: tell(e, who=name(a[0]) if a else None))(event))
    for topic in ("lk.transcription", "lk.chat"):
        room.register_text_stream_handler(topic, lambda r, who: begin(read(r, who)))

    options = rtc.RoomOptions(auto_subscribe=True, single_peer_connection=version == "v1")
    try:
        await room.connect(url, token, options)
    except Exception as refused:
        tell("refused", why=str(refused))
        return
    people = {i: {"kind": int(p.kind)} for i, p in room.remote_participants.items()}
    tell("connected", people=people)

    source = rtc.AudioSource(RATE, 1)
    microphone = rtc.LocalAudioTrack.create_audio_track("mic", source)
    stop = asyncio.Event()
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    me = room.local_participant
    while line := await lines.readline():
        command = json.loads(line)
        match command["do"]:
            case "publish":
                wanted = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
                await me.publish_track(microphone, wanted)
            case "tone":
                begin(tone(source, command["hz"], stop))
            case "silence":
                stop.set()
            case "mute":
                microphone.mute()
            case "unmute":
                microphone.unmute()
            case "chat":
                await me.send_text(command["text"], topic="lk.chat")
            case "lie":
                writer = await me.stream_text(topic="lk.chat", sender_identity=command["as"])
                await writer.write(command["text"])
                await writer.aclose()
            case "data":
                await me.publish_data(command["text"], topic=command["topic"])
            case "flood":
                for _ in range(command["times"]):
                    await me.publish_data(command["text"], topic="flood")
            case "attributes":
                await me.set_attributes(command["set"])
            case "forget":
                heard.get(command["who"], []).clear()
            case "measure":
                measure(command["who"], command["seconds"])
            case "leave":
                await room.disconnect()
                break
        tell("done", do=command["do"])


asyncio.run(main(*sys.argv[1:4]))
