import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type Caption, type CaptionUpdate, captionsAfter, KEPT, speakerName } from './captions.ts';

const said = (update: Partial<CaptionUpdate>): CaptionUpdate => ({
  key: 'me SG_1',
  speaker: 'you',
  text: 'turn on',
  final: false,
  typed: false,
  stream: 1,
  ...update,
});

function all(...updates: Partial<CaptionUpdate>[]): readonly Caption[] {
  return updates.reduce<readonly Caption[]>((captions, u) => captionsAfter(captions, said(u)), []);
}

test('a later stream of a segment replaces its text in place', () => {
  const captions = all(
    {},
    { key: 'agent SG_9', speaker: 'assistant', text: 'Yes?', stream: 2 },
    { text: 'turn on the light', final: true, stream: 3 },
  );
  assert.deepEqual(
    captions.map((c) => [c.text, c.final]),
    [
      ['turn on the light', true],
      ['Yes?', false],
    ],
  );
});

test('an older stream that is read later changes nothing', () => {
  const before = all({ text: 'turn on the light', stream: 5 });
  assert.equal(captionsAfter(before, said({ text: 'turn', stream: 4 })), before);
});

test('what is final does not become partial again', () => {
  const before = all({ text: 'turn on the light', final: true, stream: 2 });
  assert.equal(captionsAfter(before, said({ text: 'turn off', stream: 3 })), before);
});

test('silence makes no caption, but a known one may become empty', () => {
  assert.deepEqual(all({ text: ' ' }), []);
  assert.equal(all({}, { text: '', final: true, stream: 2 })[0]?.text, '');
});

test('old captions go, and none grows without bound', () => {
  const many = all(...Array.from({ length: KEPT + 5 }, (_, i) => ({ key: `me ${i}`, text: `${i}` })));
  assert.equal(many.length, KEPT);
  assert.equal(many[0]?.text, '5');
  assert.ok((all({ text: 'x'.repeat(100_000) })[0]?.text.length ?? 0) <= 10_000);
});

test('every speaker has a name', () => {
  const name = (update: Partial<Caption>) => speakerName({ ...said({}), ...update });
  assert.equal(name({}), 'You');
  assert.equal(name({ typed: true }), 'You wrote');
  assert.equal(name({ speaker: 'assistant' }), 'Assistant');
  assert.equal(name({ speaker: 'other', name: 'Ann' }), 'Ann');
  assert.equal(name({ speaker: 'other', name: '' }), 'Somebody else');
});
