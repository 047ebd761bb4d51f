// Past turns: read from the server's JSON, and what there is to say about many of them. Pure.

import { isRecord } from '../api.ts';
import { readTurn, type Turn } from '../latency.ts';

export interface PastTurn {
  id: number;
  /** When it was over, in ms since 1970; `undefined` where the server's time cannot be read. */
  at: number | undefined;
  room: string;
  latency: Turn;
  spoken: boolean;
  interrupted: boolean;
  user: string | undefined;
  assistant: string | undefined;
}

/** As many are kept in the page, the newest. */
export const KEPT = 200;

/** One turn; `undefined` where it is none. */
export function readPastTurn(value: unknown): PastTurn | undefined {
  if (!isRecord(value) || typeof value['id'] !== 'number') return undefined;
  const latency = readTurn(value);
  if (!latency) return undefined;
  const { id, at, room, spoken, interrupted, user, assistant } = value;
  const time = typeof at === 'string' ? Date.parse(at) : Number.NaN;
  return {
    id,
    at: Number.isNaN(time) ? undefined : time,
    room: typeof room === 'string' ? room : '',
    latency,
    spoken: spoken !== false,
    interrupted: interrupted === true,
    user: typeof user === 'string' ? user : undefined,
    assistant: typeof assistant === 'string' ? assistant : undefined,
  };
}

export function readTurns(body: unknown): readonly PastTurn[] {
  if (!isRecord(body) || !Array.isArray(body['turns'])) return [];
  return (body['turns'] as unknown[]).map(readPastTurn).filter((turn) => turn !== undefined);
}

/** `turns`, newest first, with one more; one that is known is replaced. */
export function withTurn(turns: readonly PastTurn[], turn: PastTurn): readonly PastTurn[] {
  return [turn, ...turns.filter(({ id }) => id !== turn.id)].sort((a, b) => b.id - a.id).slice(0, KEPT);
}

/** The value that `share` (0 to 1) of `values` do not exceed; `undefined` where there are none. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** The stages of `turns`, in the order in which they follow each other. */
export function stageNames(turns: readonly PastTurn[]): readonly string[] {
  const names: string[] = [];
  for (const { latency } of turns) {
    let last = -1;
    for (const { name } of latency.stages) {
      const known = names.indexOf(name);
      if (known < 0) names.splice(last + 1, 0, name);
      last = known < 0 ? last + 1 : Math.max(last, known);
    }
  }
  return names;
}
