import assert from 'node:assert/strict';
import { test } from 'node:test';

import { refusal, sentence } from './api.ts';

test('every field that was refused has its sentence, whichever way the server says it', () => {
  const fastapi = refusal(422, {
    detail: [
      { type: 'value_error', loc: ['body', 'settings', 'temperature'], msg: 'temperature is "hot": it must be a number from 0 to 2' },
      { type: 'value_error', loc: ['body', 'settings', 'max_turns'], msg: 'max_turns is 0: it must be a whole number from 1 to 100' },
    ],
  });
  assert.deepEqual([...fastapi.fields], [
    ['temperature', 'It must be a number from 0 to 2.'],
    ['max_turns', 'It must be a whole number from 1 to 100.'],
  ]);
  assert.equal(fastapi.problem, undefined);
  const problem = refusal(422, { code: 'invalid', detail: 'see the fields', fields: { text: 'it is too long' } });
  assert.deepEqual([...problem.fields], [['text', 'It is too long.']]);
});

test('what has no fields is told in the server’s words, or by its status', () => {
  assert.equal(refusal(503, { code: 'busy', detail: 'somebody is being answered', fields: {} }).problem, 'Somebody is being answered.');
  assert.match(refusal(500, undefined).problem ?? '', /500/);
  assert.match(refusal(502, '<html>').problem ?? '', /502/);
  assert.deepEqual(refusal(204, undefined), { problem: undefined, fields: new Map() });
});

test('a sentence keeps what it says and ends as one', () => {
  assert.equal(sentence('the voice "x" is not here; choose another'), 'The voice "x" is not here; choose another.');
  assert.equal(sentence('Why?'), 'Why?');
});
