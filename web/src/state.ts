// What the page knows, and how each event changes it. Pure: no DOM, no network, no clock; those are
// in view.ts, call.ts and main.ts. Everything that arrives may arrive twice, late or never.

import type { Advice } from './advice.ts';
import { type Caption, type CaptionUpdate, captionsAfter, isYours } from './captions.ts';
import type { Turn } from './latency.ts';

/** Where the connection stands. `waiting`: lost, a new one is tried after a pause. */
export type Phase = 'off' | 'connecting' | 'on' | 'reconnecting' | 'waiting';

/** What the assistant says of itself; `absent` while it is not in the room. */
export type Agent = 'absent' | 'initializing' | 'idle' | 'listening' | 'thinking' | 'speaking';

/** `open`: the microphone is on until muted. `hold`: it is on while space or the button is held. */
export type Mode = 'open' | 'hold';

export type Microphone =
  | { is: 'off' }
  | { is: 'asking' }
  | { is: 'on' }
  | { is: 'refused'; advice: Advice };

/** The tools of the assistant's last answer: names and parameters, side by side. */
export interface ToolUse {
  names: readonly string[];
  params: readonly Readonly<Record<string, unknown>>[];
}

export interface Device {
  id: string;
  label: string;
}

export interface Devices {
  microphones: readonly Device[];
  speakers: readonly Device[];
  /** Chosen ids; empty: the system's own choice. */
  microphone: string;
  speaker: string;
}

export interface State {
  phase: Phase;
  /** Why the last connection ended or could not begin. */
  problem: Advice | undefined;
  agent: Agent;
  mode: Mode;
  muted: boolean;
  held: boolean;
  microphone: Microphone;
  /** The browser plays no sound until the person presses something. */
  soundBlocked: boolean;
  /** `undefined`: no wake word in use, as far as is known. */
  wake: 'listening' | 'active' | undefined;
  tool: ToolUse | undefined;
  toolErrors: readonly string[];
  captions: readonly Caption[];
  /** A turn whose answer has no caption yet. */
  pendingTurn: Turn | undefined;
  devices: Devices;
}

export const INITIAL: State = {
  phase: 'off',
  problem: undefined,
  agent: 'absent',
  mode: 'open',
  muted: false,
  held: false,
  microphone: { is: 'off' },
  soundBlocked: false,
  wake: undefined,
  tool: undefined,
  toolErrors: [],
  captions: [],
  pendingTurn: undefined,
  devices: { microphones: [], speakers: [], microphone: '', speaker: '' },
};

export type Event =
  | { type: 'connecting' }
  | { type: 'connected' }
  | { type: 'reconnecting' }
  | { type: 'waiting'; problem: Advice }
  | { type: 'ended'; problem?: Advice }
  | { type: 'agent'; agent: Agent }
  | { type: 'microphone'; microphone: Microphone }
  | { type: 'mode'; mode: Mode }
  | { type: 'muted'; muted: boolean }
  | { type: 'held'; held: boolean }
  | { type: 'sound'; blocked: boolean }
  | { type: 'wake'; wake: 'listening' | 'active' }
  | { type: 'tool'; tool: ToolUse | undefined }
  | { type: 'tool-errors'; errors: readonly string[] }
  | { type: 'tool-errors-read' }
  | { type: 'problem'; problem: Advice | undefined }
  | { type: 'caption'; caption: CaptionUpdate }
  | { type: 'turn'; turn: Turn }
  | { type: 'devices'; devices: Partial<Devices> };

/** The state after `event`; the same object where nothing changes. */
export function after(state: State, event: Event): State {
  switch (event.type) {
    case 'connecting':
      return { ...state, phase: 'connecting', problem: undefined };
    case 'connected':
      return { ...state, phase: 'on', problem: undefined };
    case 'reconnecting':
      return state.phase === 'on' ? { ...state, phase: 'reconnecting' } : state;
    case 'waiting':
      return { ...left(state), phase: 'waiting', problem: event.problem };
    case 'ended':
      return { ...left(state), phase: 'off', problem: event.problem };
    case 'agent':
      // An assistant that leaves takes what it said of itself along; its tools are of the turn before.
      return event.agent === 'absent'
        ? { ...state, agent: 'absent', wake: undefined, tool: undefined }
        : { ...state, agent: event.agent };
    case 'microphone':
      return { ...state, microphone: event.microphone };
    case 'mode':
      return { ...state, mode: event.mode, held: false, muted: false };
    case 'muted':
      return { ...state, muted: event.muted };
    case 'held':
      return state.held === event.held ? state : { ...state, held: event.held };
    case 'sound':
      return { ...state, soundBlocked: event.blocked };
    case 'wake':
      return { ...state, wake: event.wake };
    case 'tool':
      return { ...state, tool: event.tool };
    case 'tool-errors':
      return { ...state, toolErrors: event.errors };
    case 'tool-errors-read':
      return { ...state, toolErrors: [] };
    case 'problem':
      return { ...state, problem: event.problem };
    case 'caption':
      return withCaption(state, event.caption);
    case 'turn':
      return withTurn(state, event.turn);
    case 'devices':
      return { ...state, devices: { ...state.devices, ...event.devices } };
  }
}

/** What is left of a conversation when its connection is gone: the words stay. */
function left(state: State): State {
  return {
    ...state,
    agent: 'absent',
    held: false,
    microphone: state.microphone.is === 'refused' ? state.microphone : { is: 'off' },
    soundBlocked: false,
    wake: undefined,
    tool: undefined,
    captions: state.captions.every((c) => c.final) ? state.captions : state.captions.map((c) => ({ ...c, final: true })),
    pendingTurn: undefined,
  };
}

function withCaption(before: State, update: CaptionUpdate): State {
  const captions = captionsAfter(before.captions, update);
  if (captions === before.captions) return before;
  // A new wish: the tools were those of the one before. The assistant's state comes another way and may
  // overtake, but words and tools come in order.
  const state = update.speaker !== 'assistant' && update.final ? { ...before, tool: undefined } : before;
  const last = captions.at(-1);
  const begun = captions.length > state.captions.length || last?.key !== state.captions.at(-1)?.key;
  if (state.pendingTurn && begun && last?.speaker === 'assistant') {
    return {
      ...state,
      captions: [...captions.slice(0, -1), { ...last, turn: state.pendingTurn }],
      pendingTurn: undefined,
    };
  }
  return { ...state, captions };
}

/** A turn belongs to the answer that is being spoken; where its first word is not there yet, to the next. */
function withTurn(state: State, turn: Turn): State {
  const last = state.captions.at(-1);
  if (!last || last.speaker !== 'assistant' || last.turn) return { ...state, pendingTurn: turn };
  return { ...state, captions: [...state.captions.slice(0, -1), { ...last, turn }] };
}

/** Whether the microphone sends sound now. */
export function isOpen(state: State): boolean {
  return state.mode === 'hold' ? state.held : !state.muted;
}

/** Whether there is a conversation to end. */
export function isBusy(state: State): boolean {
  return state.phase !== 'off';
}

/** One line for the person: what is going on, or what to do. */
export function headline(state: State): string {
  switch (state.phase) {
    case 'off':
      return state.captions.length > 0 ? 'The conversation has ended' : 'Ready when you are';
    case 'connecting':
      return 'Connecting…';
    case 'reconnecting':
      return 'Connection lost. Reconnecting…';
    case 'waiting':
      return 'Not connected. Trying again…';
    case 'on':
      return conversing(state);
  }
}

function conversing(state: State): string {
  switch (state.agent) {
    case 'absent':
      return 'Waiting for the assistant…';
    case 'initializing':
      return 'The assistant is getting ready…';
    case 'thinking':
      return state.tool ? `Using ${state.tool.names.join(', ')}…` : 'Thinking…';
    case 'speaking':
      return 'Speaking';
    case 'idle':
    case 'listening':
      return listening(state);
  }
}

function listening(state: State): string {
  if (state.microphone.is === 'asking') return 'Please allow the microphone';
  if (state.microphone.is !== 'on') return 'No microphone: type instead';
  if (state.mode === 'hold' && !state.held) return 'Hold the button or space to talk';
  if (state.mode === 'open' && state.muted) return 'You are muted';
  if (state.wake === 'listening') return 'Asleep: say the wake word';
  return 'Listening';
}

/** Captions that became final between two states: what a screen reader says, without partial text. */
export function newlyFinal(before: State, now: State): readonly Caption[] {
  if (before.captions === now.captions) return [];
  const finished = new Set(before.captions.filter((c) => c.final).map((c) => c.key));
  return now.captions.filter((c) => c.final && !finished.has(c.key) && !(isYours(c) && c.typed));
}
