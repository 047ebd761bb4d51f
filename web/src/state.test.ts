import assert from 'node:assert/strict';
import { test } from 'node:test';

import { after, type Event, headline, INITIAL, isBusy, isOpen, newlyFinal, type State } from './state.ts';

const caption = (key: string, speaker: 'you' | 'assistant', text: string, final: boolean, stream = 1): Event => ({
  type: 'caption',
  caption: { key, speaker, text, final, typed: false, stream },
});
const turn = { totalMs: 900, stages: [{ name: 'stt', ms: 300 }] };
const run = (...events: Event[]): State => events.reduce(after, INITIAL);
const TALKING: Event[] = [
  { type: 'connecting' },
  { type: 'connected' },
  { type: 'microphone', microphone: { is: 'on' } },
  { type: 'agent', agent: 'listening' },
];

test('the headline says what goes on or what to do', () => {
  assert.equal(headline(INITIAL), 'Ready when you are');
  assert.equal(headline(run({ type: 'connecting' })), 'Connecting…');
  assert.equal(headline(run({ type: 'connecting' }, { type: 'connected' })), 'Waiting for the assistant…');
  assert.equal(headline(run(...TALKING)), 'Listening');
  assert.equal(headline(run(...TALKING, { type: 'muted', muted: true })), 'You are muted');
  assert.match(headline(run(...TALKING, { type: 'mode', mode: 'hold' })), /Hold the button/);
  assert.match(headline(run(...TALKING, { type: 'wake', wake: 'listening' })), /wake word/);
  assert.match(headline(run(...TALKING, { type: 'reconnecting' })), /Reconnecting/);
  const tool = { names: ['web_search'], params: [{}] };
  assert.match(headline(run(...TALKING, { type: 'agent', agent: 'thinking' }, { type: 'tool', tool })), /web_search/);
});

test('without a microphone one is told to type', () => {
  const refused: Event = { type: 'microphone', microphone: { is: 'refused', advice: { title: 't', step: 's' } } };
  assert.match(headline(run(...TALKING, refused)), /type/);
});

test('the microphone is open while held, or until muted', () => {
  assert.equal(isOpen(run()), true);
  assert.equal(isOpen(run({ type: 'muted', muted: true })), false);
  assert.equal(isOpen(run({ type: 'mode', mode: 'hold' })), false);
  assert.equal(isOpen(run({ type: 'mode', mode: 'hold' }, { type: 'held', held: true })), true);
});

test('changing the mode neither holds nor mutes', () => {
  const state = run({ type: 'muted', muted: true }, { type: 'mode', mode: 'hold' }, { type: 'held', held: true });
  assert.equal(isOpen(after(state, { type: 'mode', mode: 'hold' })), false);
  assert.equal(isOpen(after(state, { type: 'mode', mode: 'open' })), true);
});

test('a lost connection keeps the words and forgets what the assistant was at', () => {
  const state = run(
    ...TALKING,
    { type: 'wake', wake: 'active' },
    caption('a', 'assistant', 'The light is', false),
    { type: 'waiting', problem: { title: 'lost', step: 'wait' } },
  );
  assert.deepEqual(
    [state.phase, state.agent, state.wake, state.captions.length, state.captions[0]?.final],
    ['waiting', 'absent', undefined, 1, true],
  );
  assert.equal(isBusy(state), true);
  assert.equal(headline(after(state, { type: 'ended' })), 'The conversation has ended');
});

test('a new wish forgets the tools of the one before, and nothing else does', () => {
  const tool: Event = { type: 'tool', tool: { names: ['web_search'], params: [{}] } };
  const used = run(...TALKING, tool, { type: 'agent', agent: 'thinking' }, caption('a', 'assistant', 'Look', true));
  assert.ok(used.tool, 'the state may come after the tool');
  assert.ok(after(used, caption('u', 'you', 'and', false)).tool);
  assert.equal(after(used, caption('u', 'you', 'And now?', true)).tool, undefined);
});

test('a turn belongs to the answer being spoken, or to the next', () => {
  const during = run(caption('u', 'you', 'hi', true), caption('a', 'assistant', 'Hello', false), { type: 'turn', turn });
  assert.equal(during.captions[1]?.turn, turn);
  const early = run(caption('u', 'you', 'hi', true), { type: 'turn', turn }, caption('a', 'assistant', 'Hello', false));
  assert.equal(early.captions[1]?.turn, turn);
  assert.equal(early.pendingTurn, undefined);
  assert.equal(early.captions[0]?.turn, undefined);
});

test('a turn stays with its answer as the text grows', () => {
  const state = run(
    caption('a', 'assistant', 'Hel', false),
    { type: 'turn', turn },
    caption('a', 'assistant', 'Hello.', true),
  );
  assert.deepEqual([state.captions[0]?.text, state.captions[0]?.turn], ['Hello.', turn]);
});

test('a screen reader hears each piece once, when it is final', () => {
  const partial = run(caption('a', 'assistant', 'Hel', false));
  assert.deepEqual(newlyFinal(INITIAL, partial), []);
  const full = after(partial, caption('a', 'assistant', 'Hello.', true));
  assert.deepEqual(newlyFinal(partial, full).map((c) => c.text), ['Hello.']);
  assert.deepEqual(newlyFinal(full, after(full, { type: 'turn', turn })), []);
});

test('reconnecting is only of a connection that stood', () => {
  assert.equal(run({ type: 'connecting' }, { type: 'reconnecting' }).phase, 'connecting');
});
