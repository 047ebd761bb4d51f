import assert from 'node:assert/strict';
import { test } from 'node:test';

import { changedKeys, edited, EMPTY, planOf, PROMPT_TEXT, rebased, refused, reset, restored, shownText, willBeSet } from './draft.ts';
import { readTable, type Table } from './table.ts';

const MASK = '********';

/** The server's table with these values; `file`: keys that stand in the settings file. */
function table(values: Record<string, unknown> = {}, file: readonly string[] = [], custom: string | null = null): Table {
  const rows: readonly (readonly [string, string, unknown])[] = [
    ['agent_name', 'text', 'Cal'],
    ['temperature', 'number', 0.7],
    ['prompt', 'choice', 'default'],
    ['hass_token', 'secret', ''],
  ];
  const settings = rows.map(([key, kind, standard]) => {
    const otherwise = { value: standard, origin: 'default', variable: null };
    const now = { value: values[key] ?? standard, origin: file.includes(key) ? 'file' : 'default', variable: null };
    return { key, kind, doc: '', choices: [], minimum: null, maximum: null, applies: 'next turn', variable: null, now, otherwise, problem: null };
  });
  return readTable({ settings, prompts: { default: 'You are {{ASSISTANT_NAME}}.', custom }, mask: MASK }) as Table;
}

test('typing back what was there is no change', () => {
  const one = table();
  const draft = edited(one, EMPTY, 'agent_name', 'Ada');
  assert.deepEqual(changedKeys(draft), ['agent_name']);
  assert.deepEqual(changedKeys(edited(one, draft, 'agent_name', 'Cal')), []);
});

test('only what was changed is sent, as the types that the server reads', () => {
  const one = table();
  const draft = edited(one, edited(one, EMPTY, 'temperature', '1.5'), 'agent_name', 'Ada');
  assert.deepEqual(planOf(one, draft), { set: { temperature: 1.5, agent_name: 'Ada' }, prompt: undefined, choose: undefined, unset: [] });
  assert.deepEqual(planOf(one, draft, ['agent_name']).set, { agent_name: 'Ada' });
});

test('an empty secret keeps the one that is set, and clearing it is a change of its own', () => {
  const one = table({ hass_token: MASK }, ['hass_token']);
  assert.equal(shownText(one, EMPTY, 'hass_token'), '');
  const typed = edited(one, EMPTY, 'hass_token', 'new');
  assert.deepEqual(planOf(one, typed).set, { hass_token: 'new' });
  assert.deepEqual(changedKeys(edited(one, typed, 'hass_token', '')), []);
  const cleared = reset(one, typed, 'hass_token');
  assert.deepEqual(planOf(one, cleared), { set: {}, prompt: undefined, choose: undefined, unset: ['hass_token'] });
  const secret = one.settings.get('hass_token');
  assert.ok(secret && !willBeSet(secret, cleared) && willBeSet(secret, EMPTY));
});

test('what goes back shows what counts without the settings file', () => {
  const one = table({ agent_name: 'Ada' }, ['agent_name']);
  const draft = reset(one, EMPTY, 'agent_name');
  assert.equal(shownText(one, draft, 'agent_name'), 'Cal');
  // What the file does not have cannot be taken out of it.
  assert.deepEqual(changedKeys(reset(one, EMPTY, 'temperature')), []);
});

test('a prompt of one’s own is written before it is chosen, and the choice of the built-in one comes after', () => {
  const one = table();
  const own = edited(one, edited(one, EMPTY, 'prompt', 'custom'), PROMPT_TEXT, 'Be brief.');
  assert.deepEqual(planOf(one, own), { set: {}, prompt: 'Be brief.', choose: undefined, unset: [] });
  const back = edited(one, own, 'prompt', 'default');
  assert.deepEqual(planOf(one, back), { set: {}, prompt: 'Be brief.', choose: 'default', unset: [] });
  // Chosen and left as it is: then the built-in text is the person's.
  const taken = edited(one, EMPTY, 'prompt', 'custom');
  assert.equal(planOf(one, taken).prompt, 'You are {{ASSISTANT_NAME}}.');
  const kept = table({}, [], 'Be brief.');
  assert.deepEqual(planOf(kept, edited(kept, EMPTY, 'prompt', 'custom')).set, { prompt: 'custom' });
});

test('problems stand until their field is touched, and those of other fields stay', () => {
  const one = table();
  let draft = edited(one, edited(one, EMPTY, 'temperature', 'hot'), 'agent_name', '\n');
  draft = refused(draft, changedKeys(draft), new Map([['temperature', 'It must be a number.'], ['agent_name', 'One line.']]));
  draft = edited(one, draft, 'temperature', '1');
  assert.deepEqual([...draft.problems.keys()], ['agent_name']);
  assert.deepEqual([...restored(draft, ['agent_name']).problems.keys()], []);
});

test('nothing that was typed is lost when the table is loaded anew, and a clash is told', () => {
  const before = table();
  const draft = edited(before, edited(before, EMPTY, 'agent_name', 'Ada'), 'temperature', '1');
  const elsewhere = rebased(before, table({ agent_name: 'Bob', temperature: 1 }, ['agent_name', 'temperature']), draft);
  assert.deepEqual([...elsewhere.draft.edits], [['agent_name', 'Ada']]);
  assert.deepEqual(elsewhere.clashes, ['agent_name']);
  assert.deepEqual(rebased(before, table(), draft), { draft, clashes: [] });
});
