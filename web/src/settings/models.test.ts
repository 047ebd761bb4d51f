import assert from 'node:assert/strict';
import { test } from 'node:test';

import { downloadInWords, isRunning, missing, readDownload, readModels, readParts, share } from './models.ts';

test('how far a download is, is told in words and as a share', () => {
  const download = readDownload({ state: 'running', model: 'whisper-small', item: 'model.bin', bytes: 120e6, of: 480e6, message: null });
  assert.ok(download && isRunning(download));
  assert.equal(share(download), 0.25);
  assert.equal(downloadInWords(download), 'Downloading whisper-small (model.bin), 120 MB of 480 MB.');
  const blind = readDownload({ state: 'running', model: null, item: null, bytes: 2e6, of: null });
  assert.equal(blind && share(blind), undefined);
  assert.equal(blind && downloadInWords(blind), 'Downloading the models, 2 MB.');
});

test('why a download failed is the server’s to say', () => {
  const failed = readDownload({ state: 'failed', model: 'x', message: 'The disk is full.' });
  assert.equal(failed && downloadInWords(failed), 'The disk is full.');
  assert.equal(readDownload({ model: 'x' }), undefined);
});

test('only what CAAL needs is missing', () => {
  const models = readModels([
    { name: 'a', role: 'stt', state: 'present', default: true },
    { name: 'b', role: 'tts', state: 'incomplete', default: true },
    { name: 'c', role: 'stt', state: 'missing', default: false },
    { role: 'nameless' },
  ]);
  assert.deepEqual([models.length, missing(models)], [3, ['b']]);
});

test('parts that cannot be read are left out', () => {
  const parts = readParts({ parts: [{ name: 'stt', state: 'ready', detail: null }, {}, 1] });
  assert.deepEqual(parts, [{ name: 'stt', state: 'ready', detail: '' }]);
  assert.deepEqual(readParts({ status: 'ready' }), []);
});
