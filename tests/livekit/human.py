"""A human in a LiveKit room, by LiveKit's own Python SDK: publishes a tone as a microphone, tells what
comes as lines of JSON, does what it is told line by line. With 0 Hz it is silent until it plays something.
Usage: human.py URL KEY SECRET ROOM IDENTITY AGENT HZ (AGENT: dispatched by name; empty: none)
Commands: play FILE.wav (16 kHz, mono) | who | chat WORDS | data TOPIC TEXT | api TOPIC TEXT (as the server's administrator) | mute | unmute | leave"""

import asyncio
import json
import sys
import wave

import numpy
from livekit import api, rtc

url, key, secret, room_name, identity, agent, hz = sys.argv[1:]
WINDOW = 4800  # samples at 48 kHz: 100 ms
recording = bytearray()


def tell(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


def token():
    t = api.AccessToken(key, secret).with_identity(identity)
    t = t.with_grants(api.VideoGrants(room_join=True, room=room_name))
    if agent:
        dispatch = api.RoomAgentDispatch(agent_name=agent)
        t = t.with_room_config(api.RoomConfiguration(agents=[dispatch]))
    return t.to_jwt()


async def hear(track, who):
    pieces, count = [], 0
    async for event in rtc.AudioStream(track, sample_rate=48000, num_channels=1):
        pieces.append(numpy.frombuffer(bytes(event.frame.data), dtype=numpy.int16))
        count += len(pieces[-1])
        if count >= WINDOW:
            sound = numpy.concatenate(pieces).astype(float)
            spectrum = numpy.abs(numpy.fft.rfft(sound))
            peak = float(numpy.argmax(spectrum)) * 48000 / len(sound)
            rms = float(numpy.sqrt((sound**2).mean()))
            tell("heard", who=who, hz=round(peak), rms=round(rms))
            pieces, count = [], 0


async def read(reader, who):
    parts = [piece async for piece in reader]
    tell("text", topic=reader.info.topic, who=who, attributes=reader.info.attributes, text="".join(parts))


async def speak(source):
    step = 2 * numpy.pi * float(hz) / 16000
    position = 0
    while True:
        tone = numpy.sin(step * numpy.arange(position, position + 320)) * 8000
        position += 320
        data = tone.astype(numpy.int16).tobytes()
        if recording:
            data = bytes(recording[:640]).ljust(640, b"\0")
            del recording[:640]
        await source.capture_frame(rtc.AudioFrame(data, 16000, 1, 320))


async def main():
    room, tasks = rtc.Room(), set()

    def start(work):
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    room.on("track_subscribed", lambda t, _, p: start(hear(t, p.identity)))
    room.on("participant_connected", lambda p: tell("joined", who=p.identity, kind=p.kind, sid=p.sid))
    room.on("participant_disconnected", lambda p: tell("left", who=p.identity))
    room.on("participant_attributes_changed", lambda c, p: tell("attributes", who=p.identity, changed=c))
    for name in ("reconnecting", "reconnected"):
        room.on(name, lambda name=name: tell(name))

    def data(packet):
        who = packet.participant.identity if packet.participant else None
        tell("data", topic=packet.topic, who=who, text=packet.data.decode())

    room.on("data_received", data)
    for topic in ("lk.transcription", "lk.chat"):
        room.register_text_stream_handler(topic, lambda r, who: start(read(r, who)))
    await room.connect(url, token(), rtc.RoomOptions(auto_subscribe=True))
    there = [{"who": p.identity, "kind": p.kind} for p in room.remote_participants.values()]
    tell("connected", there=there)
    source = rtc.AudioSource(16000, 1)
    track = rtc.LocalAudioTrack.create_audio_track("mic", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    publication = await room.local_participant.publish_track(track, options)
    start(speak(source))

    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    while line := (await commands.readline()).decode().strip():
        what, _, rest = line.partition(" ")
        topic, _, text = rest.partition(" ")
        if what == "play":
            with wave.open(rest) as file:
                recording.extend(file.readframes(file.getnframes()))
        elif what == "who":
            people = room.remote_participants.values()
            tell("people", there=[{"who": p.identity, "kind": p.kind} for p in people])
        elif what == "chat":
            await room.local_participant.send_text(rest, topic="lk.chat")
        elif what == "data":
            await room.local_participant.publish_data(text, topic=topic)
        elif what == "api":
            async with api.LiveKitAPI(url.replace("ws", "http", 1), key, secret) as server:
                request = api.SendDataRequest(room=room_name, data=text.encode(), topic=topic)
                await server.room.send_data(request)
        elif what == "mute":
            track.mute()
        elif what == "unmute":
            track.unmute()
        elif what == "leave":
            break
    await room.disconnect()


asyncio.run(main())
