import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readChoices } from './choices.ts';
import { sort } from './devices.ts';
import { meansTalk } from './hold.ts';
import { level } from './meter.ts';

test('choices survive whatever is in the storage', () => {
  assert.deepEqual(readChoices('{"mode":"hold","microphone":"abc"}'), { mode: 'hold', microphone: 'abc', speaker: '' });
  for (const text of [null, '', '{', 'null', '[]', '{"mode":7,"speaker":{}}']) {
    assert.deepEqual(readChoices(text), { mode: 'open', microphone: '', speaker: '' });
  }
});

test('devices without a name, and the system choice in other words, are left out', () => {
  const device = (kind: MediaDeviceKind, deviceId: string, label: string) => ({ kind, deviceId, label });
  const sorted = sort([
    device('audioinput', 'default', 'Default'),
    device('audioinput', 'a', 'Headset'),
    device('audioinput', 'b', ''),
    device('videoinput', 'c', 'Camera'),
    device('audiooutput', 'd', 'Speakers'),
  ]);
  assert.deepEqual(sorted, { microphones: [{ id: 'a', label: 'Headset' }], speakers: [{ id: 'd', label: 'Speakers' }] });
});

test('space talks where it means nothing else', () => {
  const inField = { matches: () => true };
  const onPage = { matches: () => false };
  assert.equal(meansTalk(' ', onPage), true);
  assert.equal(meansTalk(' ', null), true);
  assert.equal(meansTalk(' ', inField), false);
  assert.equal(meansTalk('a', onPage), false);
});

test('the meter goes from silence to full scale', () => {
  assert.equal(level(new Float32Array(0)), 0);
  assert.equal(level(new Float32Array(512)), 0);
  assert.equal(level(new Float32Array(512).fill(1)), 1);
  const half = level(new Float32Array(512).fill(10 ** (-30 / 20)));
  assert.ok(Math.abs(half - 0.5) < 0.01, `${half}`);
});
