import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readPacket } from './packets.ts';

const packet = (topic: string, value: unknown) => readPacket(topic, new TextEncoder().encode(JSON.stringify(value)));

test('the wake word sleeps and wakes', () => {
  assert.deepEqual(packet('wakeword_state', { type: 'wakeword_state', state: 'active' }), { type: 'wake', wake: 'active' });
  assert.equal(packet('wakeword_state', { type: 'wakeword_state', state: 'dancing' }), undefined);
});

test('tools come with their parameters side by side', () => {
  const read = packet('tool_status', {
    tool_used: true,
    tool_names: ['web_search', 'light', 7],
    tool_params: [{ query: 'weather' }, 'on'],
  });
  assert.deepEqual(read, { type: 'tool', tool: { names: ['web_search', 'light'], params: [{ query: 'weather' }, {}] } });
  assert.deepEqual(packet('tool_status', { tool_used: false, tool_names: [], tool_params: [] }), {
    type: 'tool',
    tool: undefined,
  });
});

test('tool errors are shown where there are any', () => {
  assert.deepEqual(packet('mcp_error', { type: 'mcp_error', errors: ['n8n does not answer', null] }), {
    type: 'tool-errors',
    errors: ['n8n does not answer'],
  });
  assert.equal(packet('mcp_error', { errors: 'all of them' }), undefined);
});

test('a turn is read whole or not at all', () => {
  const stages = [{ name: 'endpoint', ms: 300 }];
  assert.deepEqual(packet('caal.turn', { total_ms: 900, stages }), { type: 'turn', turn: { totalMs: 900, stages } });
  for (const value of [{ total_ms: -1, stages }, { total_ms: '9', stages }, { total_ms: 9, stages: [{ name: 'x' }] }, { stages }]) {
    assert.equal(packet('caal.turn', value), undefined);
  }
  assert.equal(packet('caal.turn', { total_ms: 1, stages: Array(1000).fill(stages[0]) }), undefined);
});

test('a turn without a whole is the sum of its stages', () => {
  const stages = [{ name: 'llm', ms: 300 }, { name: 'tts', ms: 200 }];
  assert.deepEqual(packet('caal.turn', { total_ms: null, stages }), { type: 'turn', turn: { totalMs: 500, stages } });
  assert.equal(packet('caal.turn', { total_ms: null, stages: [] }), undefined);
});

test('what is no packet of ours is dropped', () => {
  assert.equal(readPacket(undefined, new Uint8Array()), undefined);
  assert.equal(packet('elsewhere', {}), undefined);
  assert.equal(readPacket('tool_status', new TextEncoder().encode('{')), undefined);
  assert.equal(readPacket('tool_status', new Uint8Array([0xff, 0xfe])), undefined);
  assert.equal(readPacket('tool_status', new Uint8Array(1 << 20)), undefined);
  for (const value of [null, 7, 'x', [], [{}]]) assert.equal(packet('tool_status', value), undefined);
});
