// The models on the server's disk, and the download of those that are missing: read from its JSON and put
// into words. Pure.

import { isRecord } from '../api.ts';
import { size } from './names.ts';

export interface Download {
  /** idle, waiting, running, done, failed or stopped. */
  state: string;
  model: string | undefined;
  item: string | undefined;
  bytes: number | undefined;
  of: number | undefined;
  message: string | undefined;
}

export interface Model {
  name: string;
  role: string;
  bytes: number | undefined;
  /** present, missing, incomplete or damaged. */
  state: string;
  standard: boolean;
  description: string;
  licence: string;
}

export const IDLE: Download = {
  state: 'idle',
  model: undefined,
  item: undefined,
  bytes: undefined,
  of: undefined,
  message: undefined,
};

/** The download in a body or an event; `undefined` where it is none. */
export function readDownload(value: unknown): Download | undefined {
  if (!isRecord(value) || typeof value['state'] !== 'string') return undefined;
  const { state, model, item, bytes, of, message } = value;
  return { state, model: text(model), item: text(item), bytes: number(bytes), of: number(of), message: text(message) };
}

export function readModels(value: unknown): readonly Model[] {
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).flatMap((one) => {
    if (!isRecord(one)) return [];
    const { name, role, bytes, state, description, licence, note } = one;
    if (typeof name !== 'string' || typeof state !== 'string') return [];
    return {
      name,
      state,
      role: text(role) ?? '',
      bytes: number(bytes),
      standard: one['default'] === true,
      description: [text(description), text(note)].filter(Boolean).join(' '),
      licence: text(licence) ?? '',
    };
  });
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined;
}

export function isRunning(download: Download): boolean {
  return download.state === 'running' || download.state === 'waiting';
}

/** The share that is there, 0 to 1; `undefined` where nobody knows the whole. */
export function share({ bytes, of }: Download): number | undefined {
  return bytes === undefined || of === undefined || of === 0 ? undefined : Math.min(1, bytes / of);
}

/** What goes on, in one line; empty where nothing does. */
export function downloadInWords(download: Download): string {
  const { state, model, item, bytes, of, message } = download;
  const name = model ?? 'the models';
  switch (state) {
    case 'waiting':
      return message ?? 'Another program of CAAL is downloading; this waits for it.';
    case 'running': {
      const amount = bytes === undefined ? '' : of === undefined ? `, ${size(bytes)}` : `, ${size(bytes)} of ${size(of)}`;
      const file = item && item !== model ? ` (${item})` : '';
      return `Downloading ${name}${file}${amount}.${message ? ` ${message}` : ''}`;
    }
    case 'done':
      return message ?? 'All is there.';
    case 'failed':
      return message ?? `${name} could not be downloaded. Try again.`;
    case 'stopped':
      return message ?? 'The download was stopped. It goes on from there when you start it again.';
    default:
      return '';
  }
}

const STATES: Readonly<Record<string, string>> = {
  present: 'On this machine',
  missing: 'Not downloaded',
  incomplete: 'Half downloaded',
  damaged: 'Damaged',
};

export function stateInWords(model: Model): string {
  return STATES[model.state] ?? model.state;
}

/** Models that CAAL needs and does not have, by name. */
export function missing(models: readonly Model[]): readonly string[] {
  return models.filter((model) => model.standard && model.state !== 'present').map((model) => model.name);
}

export interface Part {
  name: string;
  state: string;
  detail: string;
}

/** The parts of the server in a body of `GET /ready`. */
export function readParts(body: unknown): readonly Part[] {
  if (!isRecord(body) || !Array.isArray(body['parts'])) return [];
  return (body['parts'] as unknown[]).flatMap((part) => {
    if (!isRecord(part) || typeof part['name'] !== 'string' || typeof part['state'] !== 'string') return [];
    return { name: part['name'], state: part['state'], detail: text(part['detail']) ?? '' };
  });
}

const PARTS: Readonly<Record<string, string>> = {
  stt: 'Speech recognition',
  llm: 'Language model',
  tts: 'Voice',
  ears: 'Wake word and pauses',
  rooms: 'Rooms',
  local: 'This machine’s own sound',
};

export function partLabel(part: Part): string {
  return PARTS[part.name] ?? part.name;
}
