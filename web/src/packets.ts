// The assistant's data packets, read into events. Pure. A packet that is not what its topic promises
// is dropped: the page never shows half of one, and never fails for one.

import { readTurn } from './latency.ts';
import type { Event } from './state.ts';

/** The longest packet that is looked at, in bytes; LiveKit's own limit is about 15 kB. */
const LONGEST = 64 * 1024;
/** As many tools or errors of one packet are shown. */
const MOST = 20;

/** The event in a packet; `undefined` for other topics and for what cannot be read. */
export function readPacket(topic: string | undefined, payload: Uint8Array): Event | undefined {
  const read = topic === undefined ? undefined : READERS.get(topic);
  if (!read || payload.byteLength > LONGEST) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    return isRecord(value) ? read(value) : undefined;
  } catch {
    return undefined;
  }
}

type Json = Readonly<Record<string, unknown>>;

const READERS: ReadonlyMap<string, (value: Json) => Event | undefined> = new Map([
  ['wakeword_state', wake],
  ['tool_status', tool],
  ['mcp_error', toolErrors],
  ['caal.turn', turn],
]);

function wake({ state }: Json): Event | undefined {
  return state === 'listening' || state === 'active' ? { type: 'wake', wake: state } : undefined;
}

function tool({ tool_used: used, tool_names: names, tool_params: params }: Json): Event | undefined {
  if (used !== true) return { type: 'tool', tool: undefined };
  const known = strings(names);
  if (known.length === 0) return { type: 'tool', tool: undefined };
  const given: readonly unknown[] = Array.isArray(params) ? params : [];
  return {
    type: 'tool',
    tool: {
      names: known,
      params: known.map((_, i) => {
        const value = given[i];
        return isRecord(value) ? value : {};
      }),
    },
  };
}

function toolErrors({ errors }: Json): Event | undefined {
  const known = strings(errors);
  return known.length > 0 ? { type: 'tool-errors', errors: known } : undefined;
}

function turn(value: Json): Event | undefined {
  const read = readTurn(value);
  return read && { type: 'turn', turn: read };
}

function strings(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).filter((v) => typeof v === 'string' && v !== '').slice(0, MOST) as string[];
}

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
