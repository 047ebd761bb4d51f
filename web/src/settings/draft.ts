// What somebody has changed in the form and not saved yet. Pure. It survives all that happens meanwhile:
// other views, refusals, a table that was loaded anew.

import { asText, asValue, isSecret, type Setting, type Table, type Value } from './table.ts';

/** Stands among the keys for the text of the person's own prompt, which is no setting. */
export const PROMPT_TEXT = 'prompt text';

export interface Draft {
  /** Texts as typed, by key. */
  edits: ReadonlyMap<string, string>;
  /** Keys to be taken out of the settings file. */
  unset: ReadonlySet<string>;
  /** What the server found wrong, by key. */
  problems: ReadonlyMap<string, string>;
}

export const EMPTY: Draft = { edits: new Map(), unset: new Set(), problems: new Map() };

/** The text that a field shows. */
export function shownText(table: Table, draft: Draft, key: string): string {
  const edited = draft.edits.get(key);
  if (edited !== undefined) return edited;
  if (key === PROMPT_TEXT) return table.prompts.custom ?? table.prompts.standard;
  const setting = table.settings.get(key);
  if (!setting) return '';
  return asText(setting, draft.unset.has(key) ? setting.otherwise.value : setting.now.value);
}

/** The text that a field would show without changes. */
function savedText(table: Table, key: string): string {
  return shownText(table, EMPTY, key);
}

/** Whether the secret of `setting` will be set once the draft is saved. */
export function willBeSet(setting: Setting, draft: Draft): boolean {
  if (draft.edits.has(setting.key)) return true;
  return (draft.unset.has(setting.key) ? setting.otherwise : setting.now).value !== '';
}

/** The draft after somebody typed `raw` into `key`. */
export function edited(table: Table, draft: Draft, key: string, raw: string): Draft {
  const edits = new Map(draft.edits);
  const unset = without(draft.unset, key);
  if (raw === savedText(table, key)) edits.delete(key);
  else edits.set(key, raw);
  return { edits, unset, problems: withoutKey(draft.problems, key) };
}

/** The draft after somebody wished `key` back to what counts without the settings file. */
export function reset(table: Table, draft: Draft, key: string): Draft {
  const edits = withoutKey(draft.edits, key);
  const inFile = table.settings.get(key)?.now.origin === 'file';
  const unset = inFile ? new Set(draft.unset).add(key) : without(draft.unset, key);
  return { edits, unset, problems: withoutKey(draft.problems, key) };
}

/** The draft without what was changed about `keys`. */
export function restored(draft: Draft, keys: Iterable<string>): Draft {
  const gone = new Set(keys);
  const keep = (key: string) => !gone.has(key);
  return {
    edits: new Map([...draft.edits].filter(([key]) => keep(key))),
    unset: new Set([...draft.unset].filter(keep)),
    problems: new Map([...draft.problems].filter(([key]) => keep(key))),
  };
}

/** The keys that are changed. */
export function changedKeys(draft: Draft): readonly string[] {
  return [...draft.edits.keys(), ...draft.unset];
}

/** What is to be sent, in this order. */
export interface Plan {
  /** Values by key, all at once. */
  set: Readonly<Record<string, Value>>;
  /** The text of the prompt; sending it also chooses it. */
  prompt: string | undefined;
  /** Which prompt is to be in use after that, where that is another. */
  choose: string | undefined;
  unset: readonly string[];
}

/** What saving `keys` of the draft sends. */
export function planOf(table: Table, draft: Draft, keys: readonly string[] = changedKeys(draft)): Plan {
  const wanted = new Set(keys);
  const set: Record<string, Value> = {};
  for (const [key, raw] of draft.edits) {
    const setting = table.settings.get(key);
    if (setting && wanted.has(key)) set[key] = asValue(setting, raw);
  }
  const prompt = wanted.has(PROMPT_TEXT) ? draft.edits.get(PROMPT_TEXT) : undefined;
  let choose: string | undefined;
  if (prompt !== undefined) {
    // A custom prompt is chosen by its text, which must be there first.
    if (set['prompt'] === 'custom') delete set['prompt'];
    else if (shownText(table, draft, 'prompt') !== 'custom') choose = shownText(table, draft, 'prompt');
  } else if (set['prompt'] === 'custom' && table.prompts.custom === undefined) {
    // The program's own text, taken as it is: then that is the person's text.
    delete set['prompt'];
    return { set, prompt: table.prompts.standard, choose, unset: taken(draft, wanted) };
  }
  return { set, prompt, choose, unset: taken(draft, wanted) };
}

function taken(draft: Draft, wanted: ReadonlySet<string>): readonly string[] {
  return [...draft.unset].filter((key) => wanted.has(key));
}

/** The draft after a refusal: `problems` by key, beside those of keys that were not sent. */
export function refused(draft: Draft, sent: readonly string[], problems: ReadonlyMap<string, string>): Draft {
  const kept = [...draft.problems].filter(([key]) => !sent.includes(key));
  return { ...draft, problems: new Map([...kept, ...problems]) };
}

/**
 * The draft on a newer table. What is there now as somebody typed it is no change any more; `clashes` are
 * the changed keys that somebody else has changed meanwhile, too.
 */
export function rebased(before: Table, after: Table, draft: Draft): { draft: Draft; clashes: readonly string[] } {
  const clashes: string[] = [];
  const edits = new Map<string, string>();
  for (const [key, raw] of draft.edits) {
    if (key !== PROMPT_TEXT && !after.settings.has(key)) continue;
    const setting = after.settings.get(key);
    if (raw === savedText(after, key) && !(setting && isSecret(setting))) continue;
    edits.set(key, raw);
    if (savedText(before, key) !== savedText(after, key)) clashes.push(key);
  }
  const unset = new Set([...draft.unset].filter((key) => after.settings.get(key)?.now.origin === 'file'));
  return { draft: { ...draft, edits, unset }, clashes };
}

function without(all: ReadonlySet<string>, key: string): ReadonlySet<string> {
  const rest = new Set(all);
  rest.delete(key);
  return rest;
}

function withoutKey<V>(all: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  const rest = new Map(all);
  rest.delete(key);
  return rest;
}
