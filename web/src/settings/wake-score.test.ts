import assert from 'node:assert/strict';
import { test } from 'node:test';

import { after, readScore, RESTING, toPcm } from './wake-score.ts';

const score = (value: number, heard = false) => ({ score: value, heard, threshold: 0.5 });

test('with the saved threshold the server’s judgement counts', () => {
  const loud = after(RESTING, score(0.9), 0.5);
  assert.deepEqual([loud.times, loud.peak], [0, 0.9]);
  assert.equal(after(loud, score(0.9, true), 0.5).times, 1);
});

test('a threshold that is not saved yet is judged here, once a word', () => {
  let gauge = RESTING;
  for (const value of [0.1, 0.35, 0.6, 0.4, 0.2, 0.1, 0.4]) gauge = after(gauge, score(value), 0.3);
  assert.equal(gauge.times, 2);
});

test('the peak stays to be read and sinks', () => {
  let gauge = after(RESTING, score(0.8), 0.5);
  for (let i = 0; i < 10; i += 1) gauge = after(gauge, score(0), 0.5);
  assert.ok(gauge.peak > 0.6 && gauge.peak < 0.8 && gauge.score === 0);
});

test('a message that is none moves nothing', () => {
  for (const text of ['', 'x', '[]', '{"score":"1"}', '{"score":1}']) assert.equal(readScore(text), undefined);
  assert.deepEqual(readScore('{"at_ms":80,"score":0.5,"level":0,"heard":true,"threshold":0.4}'), { score: 0.5, heard: true, threshold: 0.4 });
});

test('samples become 16-bit little-endian, and what is too loud is cut', () => {
  const bytes = new Uint8Array(toPcm(Float32Array.of(0, 1, -1, 2)));
  assert.deepEqual([...bytes], [0, 0, 0xff, 0x7f, 0x01, 0x80, 0xff, 0x7f]);
});
