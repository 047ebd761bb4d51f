// The server's table of settings, read from its JSON; and values as texts, as a form holds them. Pure.

import { isRecord, texts } from '../api.ts';

export type Value = string | number | boolean | readonly string[] | Readonly<Record<string, string>>;

export interface Given {
  value: Value;
  /** `flag`, `file`, `environment`, `.env`, `secret file` or `default`. */
  origin: string;
  variable: string | undefined;
}

export interface Setting {
  key: string;
  doc: string;
  /** See `GET /settings/table`; one that this page does not know is edited as text. */
  kind: string;
  choices: readonly string[];
  minimum: number | undefined;
  maximum: number | undefined;
  applies: string;
  variable: string | undefined;
  now: Given;
  /** What would count if the settings file said nothing. */
  otherwise: Given;
  problem: string | undefined;
}

export interface Table {
  settings: ReadonlyMap<string, Setting>;
  /** The prompts' texts: the program's own, and the person's where there is one. */
  prompts: { standard: string; custom: string | undefined };
  mask: string;
}

/** The table in an answer's body; `undefined` where it is none. */
export function readTable(body: unknown): Table | undefined {
  if (!isRecord(body) || !Array.isArray(body['settings']) || !isRecord(body['prompts'])) return undefined;
  const settings = new Map<string, Setting>();
  for (const row of body['settings'] as unknown[]) {
    const setting = readSetting(row);
    if (!setting) return undefined;
    settings.set(setting.key, setting);
  }
  const { default: standard, custom } = body['prompts'];
  return {
    settings,
    prompts: { standard: text(standard) ?? '', custom: text(custom) },
    mask: text(body['mask']) ?? '********',
  };
}

function readSetting(row: unknown): Setting | undefined {
  if (!isRecord(row)) return undefined;
  const [key, kind] = [text(row['key']), text(row['kind'])];
  const [now, otherwise] = [given(row['now']), given(row['otherwise'])];
  if (key === undefined || kind === undefined || !now || !otherwise) return undefined;
  return {
    key,
    kind,
    doc: text(row['doc']) ?? '',
    choices: texts(row['choices']),
    minimum: number(row['minimum']),
    maximum: number(row['maximum']),
    applies: text(row['applies']) ?? '',
    variable: text(row['variable']),
    now,
    otherwise,
    problem: text(row['problem']),
  };
}

function given(value: unknown): Given | undefined {
  if (!isRecord(value) || typeof value['origin'] !== 'string') return undefined;
  const of = value['value'];
  const known = typeof of === 'string' || typeof of === 'number' || typeof of === 'boolean' || typeof of === 'object';
  if (!known || of === null) return undefined;
  return { value: of as Value, origin: value['origin'], variable: text(value['variable']) };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

export function isSecret(setting: Setting): boolean {
  return setting.kind === 'secret';
}

/** `value` as a form holds it. A secret is held as nothing: it was never sent. */
export function asText(setting: Setting, value: Value): string {
  if (isSecret(setting)) return '';
  if (Array.isArray(value)) return (value as readonly string[]).join('\n');
  if (typeof value === 'object') return Object.entries(value).map(([word, said]) => `${word} = ${said}`).join('\n');
  return String(value);
}

/** What is sent for a form's text. What is no number, say, goes as it is: the server knows the words for it. */
export function asValue(setting: Setting, raw: string): Value {
  switch (setting.kind) {
    case 'bool':
      return raw === 'true';
    case 'int':
    case 'number': {
      // A decimal comma is what many people type.
      const number = Number(raw.trim().replace(',', '.'));
      return raw.trim() === '' || Number.isNaN(number) ? raw : number;
    }
    case 'lines':
      return lines(raw);
    case 'map':
      return Object.fromEntries(
        lines(raw).map((line) => {
          const at = line.indexOf('=');
          return at < 0 ? [line, ''] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
        }),
      );
    default:
      return raw;
  }
}

function lines(raw: string): readonly string[] {
  return raw
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** Where a value comes from, for people; `undefined` where nobody set it. */
export function originInWords({ origin, variable }: Given): string | undefined {
  switch (origin) {
    case 'default':
      return undefined;
    case 'file':
      return 'Set here';
    case 'flag':
      return 'Set on the command line of this start: changes count after the next';
    case 'environment':
      return `From ${variable ?? 'the environment'}`;
    case '.env':
      return `From ${variable ?? 'a variable'} in .env`;
    case 'secret file':
      return `From the file that ${variable ?? ''}_FILE names`;
    default:
      return `From: ${origin}`;
  }
}

const WHEN: Readonly<Record<string, string>> = {
  'at once': 'Counts at once.',
  'next turn': 'Counts from the next turn.',
  'next start': 'Counts after the next start of CAAL.',
};

/** When a change counts, for people. */
export function whenItCounts(setting: Setting): string {
  return WHEN[setting.applies] ?? '';
}
