// "Hear it": a sentence in a voice, made by the server and played here. A press while it is made or
// played ends it. While the assistant answers somebody the server has no time, so it is asked again.

import { button, make } from '../dom.ts';
import { refusal } from '../api.ts';

const TRIES = 6;
const PAUSE_MS = 1000;

export interface Wished {
  voice: string;
  /** Of speech, 1 is the voice's own; none where that is no number. */
  speed: number | undefined;
}

export class HearIt {
  readonly element: HTMLElement;
  private readonly press: HTMLButtonElement;
  private readonly said: HTMLElement;
  private running: AbortController | undefined;
  private context: AudioContext | undefined;

  constructor(private readonly wished: () => Wished) {
    this.press = button('Hear it', () => (this.running ? this.stop() : void this.start()));
    this.said = make('span', { class: 'said', role: 'status' });
    this.element = make('div', { class: 'try' }, this.press, this.said);
  }

  stop(): void {
    this.running?.abort();
    this.running = undefined;
    this.press.textContent = 'Hear it';
    this.say('');
  }

  private say(text: string): void {
    this.said.textContent = text;
  }

  private async start(): Promise<void> {
    const running = new AbortController();
    this.running = running;
    this.press.textContent = 'Stop';
    this.say('Making the sound…');
    // Inside the press, or the browser plays nothing.
    this.context ??= new AudioContext();
    void this.context.resume();
    const end = (text: string) => {
      if (this.running !== running) return;
      this.stop();
      this.say(text);
    };
    try {
      const sound = await this.fetch(running.signal);
      if (running.signal.aborted) return;
      if (typeof sound === 'string') return end(sound);
      const source = this.context.createBufferSource();
      source.buffer = await this.context.decodeAudioData(sound);
      source.connect(this.context.destination);
      source.addEventListener('ended', () => end(''));
      running.signal.addEventListener('abort', () => source.stop());
      if (running.signal.aborted) return;
      source.start();
      this.say('Playing');
    } catch {
      if (!running.signal.aborted) end('The sound did not come. Try again.');
    }
  }

  /** The sound, or why there is none. */
  private async fetch(signal: AbortSignal): Promise<ArrayBuffer | string> {
    const { voice, speed } = this.wished();
    if (voice.trim() === '') return 'Choose a voice first.';
    for (let tries = 1; ; tries += 1) {
      const answer = await fetch(`/api/voices/${encodeURIComponent(voice)}/preview`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(speed === undefined ? {} : { speed }),
        signal,
      });
      if (answer.ok) return answer.arrayBuffer();
      const { problem, fields } = refusal(answer.status, await answer.json().catch(() => undefined));
      const why = problem ?? [...fields.values()].join(' ');
      if (answer.status !== 503 || tries === TRIES) return why;
      this.say(`${why} Trying again…`);
      await pause(PAUSE_MS, signal);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = window.setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}
