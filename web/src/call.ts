// One conversation over LiveKit: the token, the room, the microphone's track, and the room's events
// turned into the page's own. The only file that knows livekit-client. A lost connection is first
// resumed by livekit-client itself; when it gives up, a new one is made here, with a new token.

import {
  ConnectionError,
  ConnectionErrorReason,
  createLocalAudioTrack,
  DisconnectReason,
  type LocalAudioTrack,
  type Participant,
  type RemoteParticipant,
  type RemoteTrack,
  Room,
  RoomEvent,
  type TextStreamReader,
  Track,
  TrackEvent,
} from 'livekit-client';

import * as advice from './advice.ts';
import type { CaptionUpdate } from './captions.ts';
import { logIn } from './login.ts';
import { readPacket } from './packets.ts';
import type { Agent, Event } from './state.ts';

const TRANSCRIPTION = 'lk.transcription';
const CHAT = 'lk.chat';
const AGENT_STATES: readonly string[] = ['initializing', 'idle', 'listening', 'thinking', 'speaking'];

/** The sound after letting go that still belongs to the word: people let go while they say it. */
const TAIL_MS = 250;

export interface Choices {
  /** Device ids; empty: the system's choice. */
  microphone: string;
  speaker: string;
}

/** Where the call's news go. */
export interface Listener {
  event(event: Event): void;
  /** The microphone's sound as the browser has it now; none when it is gone. */
  microphone(track: MediaStreamTrack | undefined): void;
}

/** What the server answers to the wish for a token. */
interface Details {
  serverUrl: string;
  participantToken: string;
}

class Refused extends Error {
  constructor(
    readonly advice: advice.Advice,
    /** Trying again by itself makes sense. */
    readonly passing: boolean,
  ) {
    super(advice.title);
  }
}

export class Call {
  /** Grows with every start and stop: what belongs to an older one does nothing any more. */
  private era = 0;
  private room: Room | undefined;
  /** The room once its connection stood: only then can it be lost. */
  private joined: Room | undefined;
  private track: LocalAudioTrack | undefined;
  private open = true;
  private closing: number | undefined;
  private retry: number | undefined;
  private streams = 0;
  private readonly elements = document.createElement('div');

  constructor(
    private readonly listener: Listener,
    private readonly choices: Choices,
  ) {
    this.elements.hidden = true;
    document.body.append(this.elements);
  }

  /** Begins a conversation, instead of one that may be under way. */
  async start(): Promise<void> {
    const era = this.renew();
    this.listener.event({ type: 'connecting' });
    await this.connect(era, 0);
  }

  /** Ends the conversation, also one that is only being tried. */
  async stop(): Promise<void> {
    const { room } = this;
    this.renew();
    this.listener.event({ type: 'ended' });
    await room?.disconnect();
  }

  /** Whether the microphone sends; it may be said before there is one. */
  setOpen(open: boolean, tail: 'now' | 'after the tail' = 'now'): void {
    this.open = open;
    clearTimeout(this.closing);
    if (open || tail === 'now') void this.follow();
    else this.closing = window.setTimeout(() => void this.follow(), TAIL_MS);
  }

  /** Sends a written message to the assistant; false where there is no connection. */
  async write(text: string): Promise<boolean> {
    if (!this.room || this.room.state !== 'connected') return false;
    try {
      await this.room.localParticipant.sendText(text, { topic: CHAT });
      return true;
    } catch {
      return false;
    }
  }

  /** Lets the browser play; only inside the handling of a press. */
  async hear(): Promise<void> {
    await this.room?.startAudio().catch(() => undefined);
  }

  async useMicrophone(id: string): Promise<void> {
    this.choices.microphone = id;
    if (!this.room) return;
    if (!this.track) return this.retryMicrophone();
    try {
      await this.track.setDeviceId(id || 'default');
      this.listener.microphone(this.track.mediaStreamTrack);
    } catch (error) {
      this.refuse(advice.microphoneRefused(nameOf(error)));
    }
  }

  async useSpeaker(id: string): Promise<void> {
    this.choices.speaker = id;
    await this.room?.switchActiveDevice('audiooutput', id || 'default').catch(() => {
      this.listener.event({
        type: 'problem',
        problem: { title: 'That loudspeaker cannot be used', step: 'Choose another one under Sound.' },
      });
    });
  }

  /** Asks for the microphone once more, in a conversation that has none. */
  async retryMicrophone(): Promise<void> {
    if (this.room) await this.publish(this.era, this.room);
  }

  private renew(): number {
    clearTimeout(this.retry);
    clearTimeout(this.closing);
    this.forgetTrack();
    const { room } = this;
    this.room = undefined;
    this.joined = undefined;
    if (room) void room.disconnect();
    this.elements.replaceChildren();
    return ++this.era;
  }

  private forgetTrack(): void {
    this.track?.stop();
    this.track = undefined;
    this.listener.microphone(undefined);
  }

  private async connect(era: number, attempt: number): Promise<void> {
    try {
      const details = await fetchDetails();
      if (era !== this.era) return;
      const room = new Room(this.choices.speaker ? { audioOutput: { deviceId: this.choices.speaker } } : {});
      this.room = room;
      this.wire(era, room);
      void room.startAudio().catch(() => undefined); // pressed Talk a moment ago: the browser may allow it
      await this.join(room, details);
      if (era !== this.era) return;
      this.joined = room;
      this.listener.event({ type: 'connected' });
      this.tellAgent(room);
      await this.publish(era, room);
    } catch (error) {
      if (era !== this.era) return;
      const refused = error instanceof Refused ? error : new Refused(unknown(error), false);
      // The first try of a person who waits fails aloud; those that follow a conversation go on.
      if (refused.passing || attempt > 0) this.comeBack(era, attempt, refused.advice);
      else this.end(refused.advice);
    }
  }

  private async join(room: Room, { serverUrl, participantToken }: Details): Promise<void> {
    const mixed = advice.mixedContent(location.protocol, serverUrl);
    if (mixed) throw new Refused(mixed, false);
    try {
      await room.connect(serverUrl, participantToken);
    } catch (error) {
      const reason = error instanceof ConnectionError ? ConnectionErrorReason[error.reason] : '';
      throw new Refused(advice.noRoom(reason ?? '', serverUrl), false);
    }
  }

  private end(problem: advice.Advice | undefined): void {
    this.renew();
    this.listener.event(problem ? { type: 'ended', problem } : { type: 'ended' });
  }

  private comeBack(era: number, attempt: number, problem: advice.Advice): void {
    this.forgetTrack();
    void this.room?.disconnect();
    this.room = undefined;
    this.elements.replaceChildren();
    this.listener.event({ type: 'waiting', problem });
    this.retry = window.setTimeout(() => {
      if (era === this.era) void this.connect(era, attempt + 1);
    }, advice.pauseBefore(attempt));
  }

  private wire(era: number, room: Room): void {
    const mine = (act: () => void) => () => {
      if (era === this.era && room === this.room) act();
    };
    // Not from the track: livekit-client may have let go of its elements before it says so.
    const heard = new Map<RemoteTrack, HTMLMediaElement>();
    const agentMayDiffer = mine(() => this.tellAgent(room));
    room
      .on(RoomEvent.Reconnecting, mine(() => this.listener.event({ type: 'reconnecting' })))
      .on(RoomEvent.SignalReconnecting, mine(() => this.listener.event({ type: 'reconnecting' })))
      .on(RoomEvent.Reconnected, mine(() => {
        this.listener.event({ type: 'connected' });
        this.tellAgent(room);
      }))
      .on(RoomEvent.Disconnected, (code) => mine(() => this.lost(era, code))())
      .on(RoomEvent.ParticipantConnected, agentMayDiffer)
      .on(RoomEvent.ParticipantDisconnected, agentMayDiffer)
      .on(RoomEvent.ParticipantAttributesChanged, agentMayDiffer)
      .on(RoomEvent.AudioPlaybackStatusChanged, mine(() => void this.sounds(era, room)))
      .on(RoomEvent.TrackSubscribed, (track) => mine(() => {
        if (track.kind !== Track.Kind.Audio) return;
        const element = track.attach();
        heard.set(track, element);
        this.elements.append(element);
      })())
      .on(RoomEvent.TrackUnsubscribed, (track) => {
        track.detach();
        heard.get(track)?.remove();
        heard.delete(track);
      })
      .on(RoomEvent.DataReceived, (payload, from, _kind, topic) => mine(() => this.packet(payload, from, topic))());
    room.registerTextStreamHandler(TRANSCRIPTION, (reader, { identity }) => {
      mine(() => void this.read(era, room, reader, identity))();
    });
  }

  /** The browser holds the sound back, or does so no longer. It may let it through at the second try (Firefox, a
   * moment after the microphone was allowed): only then is the person asked for a press. */
  private async sounds(era: number, room: Room): Promise<void> {
    if (!room.canPlaybackAudio) await room.startAudio().catch(() => undefined);
    if (era === this.era) this.listener.event({ type: 'sound', blocked: !room.canPlaybackAudio });
  }

  private lost(era: number, code: DisconnectReason | undefined): void {
    // livekit-client says so of a `connect` that fails, too; that one is handled where it was called.
    if (this.joined !== this.room) return;
    const reason = (code === undefined ? undefined : DisconnectReason[code]) ?? 'UNKNOWN_REASON';
    const problem = advice.left(reason);
    if (problem && advice.comesBack(reason)) this.comeBack(era, 0, problem);
    else this.end(problem);
  }

  /** Packets of the assistant or, without a sender, of the server; other people cannot speak for it. */
  private packet(payload: Uint8Array, from: RemoteParticipant | undefined, topic: string | undefined): void {
    if (from && !isAssistant(from)) return;
    const event = readPacket(topic, payload);
    if (event) this.listener.event(event);
  }

  private tellAgent(room: Room): void {
    const agent = [...room.remoteParticipants.values()].find(isAssistant);
    const said = agent?.attributes['lk.agent.state'];
    const state: Agent = !agent ? 'absent' : said && AGENT_STATES.includes(said) ? (said as Agent) : 'initializing';
    this.listener.event({ type: 'agent', agent: state });
  }

  /** Reads one stream of a transcript to its end. */
  private async read(era: number, room: Room, reader: TextStreamReader, identity: string): Promise<void> {
    const person = room.remoteParticipants.get(identity);
    const speaker: CaptionUpdate['speaker'] =
      identity === room.localParticipant.identity ? 'you' : person && isAssistant(person) ? 'assistant' : 'other';
    const segment = reader.info.attributes?.['lk.segment_id'] ?? reader.info.id;
    const stream = ++this.streams;
    let text = '';
    const tell = (final: boolean) => {
      if (era !== this.era) return;
      const name = speaker === 'other' ? (person?.name ?? identity) : undefined;
      const caption = { key: `${identity} ${segment}`, speaker, text, final, typed: false, stream };
      this.listener.event({ type: 'caption', caption: name === undefined ? caption : { ...caption, name } });
    };
    try {
      for await (const piece of reader) {
        text += piece;
        tell(false);
      }
    } catch {
      // The sender left in the middle: what was said stays.
    }
    // The assistant sends one stream a segment; a person's words come in several, the last marked.
    tell(speaker === 'assistant' || reader.info.attributes?.['lk.transcription_final'] === 'true');
  }

  /** Opens the microphone and brings it into the room; says why where that fails. */
  private async publish(era: number, room: Room): Promise<void> {
    const without = impossible();
    if (without) return this.refuse(without);
    this.listener.event({ type: 'microphone', microphone: { is: 'asking' } });
    try {
      const { microphone } = this.choices;
      const track = await createLocalAudioTrack({
        echoCancellation: true,
        noiseSuppression: true,
        autoGainControl: true,
        ...(microphone ? { deviceId: { ideal: microphone } } : {}),
      });
      if (era !== this.era || room !== this.room) return track.stop();
      this.track = track;
      track.on(TrackEvent.Ended, () => {
        if (this.track !== track) return;
        this.forgetTrack();
        this.refuse(advice.MICROPHONE_LOST);
      });
      track.on(TrackEvent.Restarted, () => this.track === track && this.listener.microphone(track.mediaStreamTrack));
      if (!this.open) await track.mute();
      await room.localParticipant.publishTrack(track, { source: Track.Source.Microphone });
      await this.follow();
      this.listener.event({ type: 'microphone', microphone: { is: 'on' } });
      this.listener.microphone(track.mediaStreamTrack);
    } catch (error) {
      if (era !== this.era || room !== this.room) return;
      this.forgetTrack();
      this.refuse(advice.microphoneRefused(nameOf(error)));
    }
  }

  private refuse(why: advice.Advice): void {
    this.listener.event({ type: 'microphone', microphone: { is: 'refused', advice: why } });
  }

  /** Makes the track as open as is wished; one that cannot be is replaced at the next connection. */
  private async follow(): Promise<void> {
    const { track } = this;
    if (!track || track.isMuted === !this.open) return;
    await (this.open ? track.unmute() : track.mute()).catch(() => undefined);
  }
}

/** Why this page can have no microphone, whatever the person allows; known before anything is tried. */
export function impossible(): advice.Advice | undefined {
  return advice.withoutMicrophone({
    secure: isSecureContext,
    capable: typeof navigator.mediaDevices?.getUserMedia === 'function',
    host: location.host,
  });
}

async function fetchDetails(): Promise<Details> {
  const { status, body } = await ask('/api/connection-details', { method: 'POST', body: '{}' });
  const { serverUrl, participantToken, detail } = body;
  if (status === 200 && typeof serverUrl === 'string' && typeof participantToken === 'string') {
    return { serverUrl, participantToken };
  }
  if (status === 401 && (await logIn())) return fetchDetails();
  const loading = status === 503 && (await ask('/ready')).body['status'] === 'loading';
  const said = typeof detail === 'string' ? { detail } : {};
  throw new Refused(advice.noToken({ status, loading, ...said }), loading);
}

/** The server's JSON answer; status 0 where there is none. */
async function ask(path: string, wish: RequestInit = {}): Promise<{ status: number; body: Record<string, unknown> }> {
  try {
    const answer = await fetch(path, {
      ...wish,
      headers: { 'content-type': 'application/json' },
      cache: 'no-store',
      signal: AbortSignal.timeout(10_000),
    });
    const body: unknown = await answer.json().catch(() => undefined);
    return { status: answer.status, body: typeof body === 'object' && body !== null ? { ...body } : {} };
  } catch {
    return { status: 0, body: {} };
  }
}

function isAssistant(participant: Participant): boolean {
  return participant.isAgent && !participant.attributes['lk.publish_on_behalf'];
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

function unknown(error: unknown): advice.Advice {
  return {
    title: 'Something went wrong in this page',
    step: `${error instanceof Error ? error.message : String(error)}. Reload the page and try again.`,
  };
}
