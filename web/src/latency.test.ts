import assert from 'node:assert/strict';
import { test } from 'node:test';

import { duration, inWords, parts } from './latency.ts';

const turn = {
  totalMs: 1240,
  stages: [
    { name: 'endpoint', ms: 300 },
    { name: 'stt', ms: 0 },
    { name: 'llm', ms: 640 },
    { name: 'dreaming', ms: 200 },
  ],
};

test('a turn is told in words, without the stages that took no time', () => {
  assert.equal(inWords(turn), 'Answered after 1.24 s: end of turn 0.30 s, first word 0.64 s, dreaming 0.20 s');
  assert.equal(inWords({ totalMs: 80, stages: [] }), 'Answered after 80 ms');
});

test('the bar accounts for the whole time', () => {
  assert.deepEqual(parts(turn).at(-1), { name: 'other', ms: 100 });
  assert.equal(parts(turn).reduce((sum, s) => sum + s.ms, 0), turn.totalMs);
});

test('stages that overlap make no negative rest', () => {
  assert.deepEqual(parts({ totalMs: 100, stages: [{ name: 'stt', ms: 150 }] }), [{ name: 'stt', ms: 150 }]);
});

test('durations are short to read', () => {
  assert.deepEqual([0, 99.6, 100, 2345].map(duration), ['0 ms', '100 ms', '0.10 s', '2.35 s']);
});
