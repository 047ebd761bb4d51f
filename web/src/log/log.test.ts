import assert from 'node:assert/strict';
import { test } from 'node:test';

import { chartOf } from './chart.ts';
import { KEPT, type PastTurn, quantile, readPastTurn, readTurns, stageNames, withTurn } from './turns.ts';

function turn(id: number, ms: number): PastTurn {
  return readPastTurn({
    id,
    at: '2026-11-23T06:31:02.114Z',
    room: 'den',
    total_ms: ms,
    stages: [{ name: 'endpoint', ms: ms / 2 }, { name: 'tts', ms: ms / 4 }],
    spoken: true,
    interrupted: false,
  }) as PastTurn;
}

test('a typed question has no end of speech: its stages are its time', () => {
  const typed = readPastTurn({ id: 1, at: 'x', total_ms: null, stages: [{ name: 'llm', ms: 120 }], spoken: false });
  assert.deepEqual([typed?.latency.totalMs, typed?.spoken, typed?.at], [120, false, undefined]);
});

test('what is no turn is left out', () => {
  assert.equal(readTurns({ turns: [{}, { id: 1 }, { id: 2, total_ms: 5, stages: [] }] }).length, 1);
  assert.deepEqual(readTurns(undefined), []);
});

test('turns are kept newest first, each once, and not without end', () => {
  let turns: readonly PastTurn[] = [];
  for (const id of [2, 1, 3, 3]) turns = withTurn(turns, turn(id, 10 * id));
  assert.deepEqual(turns.map((t) => t.id), [3, 2, 1]);
  for (let id = 4; id < KEPT + 50; id += 1) turns = withTurn(turns, turn(id, 1));
  assert.equal(turns.length, KEPT);
});

test('half and nine of ten are counted, not guessed', () => {
  const values = [5, 1, 4, 2, 3, 10, 9, 8, 7, 6];
  assert.deepEqual([quantile(values, 0.5), quantile(values, 0.9), quantile([], 0.5), quantile([7], 0.9)], [5, 9, undefined, 7]);
});

test('stages come in the order in which they follow each other', () => {
  const typed = readPastTurn({ id: 1, total_ms: 3, stages: [{ name: 'llm', ms: 1 }, { name: 'tts', ms: 1 }] }) as PastTurn;
  const said = readPastTurn({ id: 2, total_ms: 3, stages: [{ name: 'stt', ms: 1 }, { name: 'llm', ms: 1 }, { name: 'clause', ms: 1 }] }) as PastTurn;
  assert.deepEqual(stageNames([typed, said]), ['stt', 'llm', 'clause', 'tts']);
});

test('bars stand within the chart, the oldest left, as tall as their turn took', () => {
  const { bars, ticks, bottom } = chartOf([turn(3, 400), turn(2, 1900), turn(1, 800)], 340, 180);
  assert.deepEqual(bars.map((bar) => bar.turn.id), [1, 2, 3]);
  const height = (i: number) => bars[i]?.pieces.reduce((sum, piece) => sum + piece.height, 0) ?? 0;
  assert.ok(Math.abs(height(1) / height(2) - 1900 / 400) < 1e-6);
  assert.ok(Math.abs(height(0) / height(2) - 2) < 1e-6);
  for (const { pieces, x, width } of bars) {
    assert.ok(x >= 40 && x + width <= 340);
    for (const { y, height: tall } of pieces) assert.ok(y >= 0 && y + tall <= bottom + 1e-6);
  }
  assert.deepEqual([ticks[0]?.ms, ticks.at(-1)?.ms, ticks.length <= 6], [0, 2000, true]);
});

test('of many turns the newest are shown, as many as can be seen', () => {
  const many = Array.from({ length: 150 }, (_, i) => turn(150 - i, 100));
  const { bars } = chartOf(many, 320, 180);
  assert.equal(bars.at(-1)?.turn.id, 150);
  assert.ok(bars.length < 45);
  assert.deepEqual(chartOf([], 0, 180).bars, []);
});
