import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readTheme } from './theme.ts';
import { addressOf, viewOf, VIEWS } from './views.ts';

test('a theme that nobody chose is the system’s', () => {
  assert.deepEqual(['light', 'dark', 'system', 'pink', '', null].map(readTheme), ['light', 'dark', 'system', 'system', 'system', 'system']);
});

test('every view has an address, and other addresses have no view', () => {
  for (const view of VIEWS) assert.equal(viewOf(addressOf(view)), view);
  for (const hash of ['', '#', '#settings', '#/nothing', '#/__proto__']) assert.equal(viewOf(hash), undefined, hash);
});
