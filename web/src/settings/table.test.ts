import assert from 'node:assert/strict';
import { test } from 'node:test';

import { asText, asValue, originInWords, readTable, type Setting } from './table.ts';

const given = (value: unknown, origin = 'default') => ({ value, origin, variable: null });

function row(key: string, kind: string, value: unknown): unknown {
  return { key, kind, doc: 'what it does', choices: null, minimum: null, maximum: null, applies: 'next turn', variable: null, now: given(value), otherwise: given(value), problem: null };
}

function setting(kind: string, value: unknown): Setting {
  const table = readTable({ settings: [row('x', kind, value)], prompts: { default: 'd', custom: null }, mask: '********' });
  return table?.settings.get('x') as Setting;
}

test('a value goes through the form and comes back as it was', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['bool', true],
    ['int', 4096],
    ['number', 0.5],
    ['text', 'Cal'],
    ['lines', ['Yes?', 'Hello!']],
    ['map', { Nguyen: 'win', 'O = o': 'x' }],
    ['lines', []],
  ];
  for (const [kind, value] of cases) {
    const one = setting(kind, value);
    if (kind === 'map') assert.deepEqual(asValue(one, 'Nguyen = win\n\n  Siobhan=shivawn '), { Nguyen: 'win', Siobhan: 'shivawn' });
    else assert.deepEqual(asValue(one, asText(one, one.now.value)), value);
  }
});

test('a secret is never in the form', () => {
  assert.equal(asText(setting('secret', '********'), '********'), '');
});

test('what is no number goes to the server as it was typed, which has the words for it', () => {
  assert.equal(asValue(setting('number', 1), 'hot'), 'hot');
  assert.equal(asValue(setting('int', 1), ''), '');
  assert.equal(asValue(setting('number', 1), '0,5'), 0.5);
});

test('a body that is no table is none', () => {
  for (const body of [undefined, null, [], {}, { settings: [{}], prompts: {} }, { settings: [row('x', 'text', null)], prompts: {} }]) {
    assert.equal(readTable(body), undefined);
  }
});

test('where a value comes from is told, but for what nobody set', () => {
  assert.equal(originInWords({ value: '', origin: 'default', variable: undefined }), undefined);
  assert.match(originInWords({ value: '', origin: '.env', variable: 'OLLAMA_HOST' }) ?? '', /OLLAMA_HOST in \.env/);
});
