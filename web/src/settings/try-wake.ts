// "Try it": how sure the server is of a wake word in what this device's microphone hears, as a meter that
// moves while one speaks. Nothing of the sound is kept.

import { announce, button, make } from '../dom.ts';
import * as advice from '../advice.ts';
import { sentence } from '../api.ts';
import { impossible } from '../call.ts';
import { wakeWordLabel, wakeWordName } from './names.ts';
import tapAddress from './tap.worklet.ts?worker&url';
import { after, type Gauge, readScore, RESTING, toPcm } from './wake-score.ts';

export interface Tried {
  /** As the file's name has it; empty where none is chosen. */
  word: string;
  threshold: number;
  /** The microphone that the person chose for talking. */
  microphone: string;
}

/** So much of a wish that waits for the network is kept, in bytes: a second of sound at 48 kHz. */
const MOST_WAITING = 96_000;

export class TryWake {
  readonly element: HTMLElement;
  private readonly press: HTMLButtonElement;
  private readonly said: HTMLElement;
  private readonly meter: HTMLElement;
  private readonly number: HTMLElement;
  private running: AbortController | undefined;
  private gauge: Gauge = RESTING;
  /** When it was last heard, by the page's clock in ms. */
  private heardAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly tried: () => Tried) {
    this.press = button('Try it', () => (this.running ? this.stop('') : void this.start()));
    this.said = make('span', { class: 'said', role: 'status' });
    this.meter = make(
      'div',
      { class: 'score', role: 'meter', 'aria-label': 'Score of the wake word', 'aria-valuemin': 0, 'aria-valuemax': 1, 'aria-valuenow': 0 },
      make('span', { class: 'now' }),
      make('span', { class: 'peak' }),
      make('span', { class: 'threshold' }),
    );
    this.number = make('span', { class: 'score-number', 'aria-hidden': 'true' });
    const row = make('div', { class: 'score-row' }, this.meter, this.number);
    this.element = make('div', { class: 'try' }, this.press, this.said, row);
    this.show();
  }

  /** Ends it; `why` stays to be read. */
  stop(why: string): void {
    this.running?.abort();
    this.running = undefined;
    this.press.textContent = 'Try it';
    this.said.textContent = why;
    this.gauge = RESTING;
    this.show();
  }

  /** Follows a threshold that was changed in the form. */
  show(): void {
    const { threshold } = this.tried();
    const { score, peak } = this.gauge;
    this.meter.style.setProperty('--score', score.toFixed(3));
    this.meter.style.setProperty('--peak', peak.toFixed(3));
    this.meter.style.setProperty('--threshold', String(Math.min(1, Math.max(0, threshold))));
    this.meter.setAttribute('aria-valuenow', score.toFixed(2));
    this.meter.setAttribute('aria-valuetext', `${score.toFixed(2)}, it wakes from ${threshold}`);
    this.number.textContent = this.running ? peak.toFixed(2) : '';
    this.element.classList.toggle('heard', performance.now() - this.heardAt < 1500);
  }

  private async start(): Promise<void> {
    const { word, microphone } = this.tried();
    if (word === '') return this.stop('Choose a wake word first.');
    const without = impossible();
    if (without) return this.stop(`${without.title}. ${without.step}`);
    const running = new AbortController();
    this.running = running;
    this.gauge = RESTING;
    this.heardAt = Number.NEGATIVE_INFINITY;
    this.press.textContent = 'Stop';
    this.said.textContent = 'Please allow the microphone';
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...(microphone ? { deviceId: { ideal: microphone } } : {}) },
      });
      running.signal.addEventListener('abort', () => stream.getTracks().forEach((track) => track.stop()));
      if (running.signal.aborted) return stream.getTracks().forEach((track) => track.stop());
      await this.listen(stream, word, running.signal);
    } catch (error) {
      if (running.signal.aborted) return;
      const why = advice.microphoneRefused(error instanceof Error ? error.name : '');
      this.stop(`${why.title}. ${why.step}`);
    }
  }

  private async listen(stream: MediaStream, word: string, signal: AbortSignal): Promise<void> {
    const context = new AudioContext();
    signal.addEventListener('abort', () => void context.close());
    await context.audioWorklet.addModule(tapAddress);
    if (signal.aborted) return;
    const tap = new AudioWorkletNode(context, 'tap', { numberOfOutputs: 0 });
    context.createMediaStreamSource(stream).connect(tap);
    const address = new URL(`/api/wake-words/${encodeURIComponent(wakeWordName(word))}/try`, location.href);
    address.protocol = address.protocol.replace('http', 'ws');
    address.searchParams.set('rate', String(Math.round(context.sampleRate)));
    const socket = new WebSocket(address);
    signal.addEventListener('abort', () => socket.close());
    tap.port.onmessage = ({ data }: MessageEvent<Float32Array>) => {
      if (socket.readyState === WebSocket.OPEN && socket.bufferedAmount < MOST_WAITING) socket.send(toPcm(data));
    };
    socket.addEventListener('open', () => {
      this.said.textContent = `Say “${wakeWordLabel(word)}”`;
    });
    socket.addEventListener('message', ({ data }) => {
      if (!signal.aborted && typeof data === 'string') this.take(data);
    });
    socket.addEventListener('close', ({ code, reason }) => {
      if (signal.aborted) return;
      // The browser does not tell why a socket was refused.
      const refused = 'The server did not listen: somebody else may be trying a word just now. Try again in a moment.';
      const why = reason === '' ? refused : sentence(reason);
      this.stop(code === 1000 ? 'Two minutes are over. Press once more to go on.' : why);
    });
  }

  private take(message: string): void {
    const score = readScore(message);
    if (!score) return;
    const before = this.gauge;
    this.gauge = after(before, score, this.tried().threshold);
    if (this.gauge.times > before.times) {
      this.heardAt = performance.now();
      this.said.textContent = this.gauge.times === 1 ? 'Heard!' : `Heard, ${this.gauge.times} times`;
      announce(this.said.textContent);
    }
    this.show();
  }
}
