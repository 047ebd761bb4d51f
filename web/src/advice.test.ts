import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as advice from './advice.ts';

test('plain http from elsewhere: https is the way, and which', () => {
  const why = advice.withoutMicrophone({ secure: false, capable: false, host: '192.168.1.5:8889' });
  assert.match(why?.title ?? '', /http/);
  assert.match(why?.step ?? '', /192\.168\.1\.5.*tailscale serve/s);
});

test('a secure page in a capable browser may ask', () => {
  assert.equal(advice.withoutMicrophone({ secure: true, capable: true, host: 'localhost' }), undefined);
  assert.match(advice.withoutMicrophone({ secure: true, capable: false, host: 'x' })?.title ?? '', /browser/);
});

test('each reason of the browser has its own words and a way on', () => {
  const names = ['NotAllowedError', 'NotFoundError', 'NotReadableError', 'SomethingElse'];
  const all = names.map(advice.microphoneRefused);
  assert.equal(new Set(all.map((a) => a.title)).size, names.length);
  for (const one of all) assert.equal(one.retry, 'microphone');
  assert.match(advice.microphoneRefused('SomethingElse').step, /SomethingElse/);
});

test('each refusal of a token has its own words', () => {
  const titles = [0, 401, 404, 500].map((status) => advice.noToken({ status }).title);
  titles.push(advice.noToken({ status: 503, loading: true }).title);
  assert.equal(new Set(titles).size, titles.length);
  assert.match(advice.noToken({ status: 503, detail: 'there is no room' }).step, /there is no room/);
});

test('https cannot talk to plain ws', () => {
  assert.ok(advice.mixedContent('https:', 'ws://caal.example:7880'));
  assert.equal(advice.mixedContent('https:', 'wss://caal.example:7443'), undefined);
  assert.equal(advice.mixedContent('http:', 'ws://localhost:7880'), undefined);
});

test('what ended on purpose stays ended, what broke comes back', () => {
  assert.equal(advice.left('CLIENT_INITIATED'), undefined);
  for (const reason of ['DUPLICATE_IDENTITY', 'PARTICIPANT_REMOVED', 'ROOM_DELETED']) {
    assert.equal(advice.comesBack(reason), false);
    assert.ok(advice.left(reason));
  }
  for (const reason of ['SERVER_SHUTDOWN', 'SIGNAL_CLOSE', 'UNKNOWN_REASON']) assert.equal(advice.comesBack(reason), true);
});

test('pauses grow and stop growing', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 500].map(advice.pauseBefore), [1000, 2000, 4000, 8000, 15_000, 15_000]);
});
