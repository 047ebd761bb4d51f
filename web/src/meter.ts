// How loud the microphone is, many times a second, from 0 to 1. It listens to the browser's own track
// beside the call, and takes no frame while nobody looks at the page.

/** The quietest sound that moves the meter, in dB below full scale: a quiet room's noise. */
const FLOOR_DB = -60;

/** The meter's height for samples in -1..1: linear in dB from the floor to full scale. */
export function level(samples: Float32Array): number {
  if (samples.length === 0) return 0;
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const db = 10 * Math.log10(sum / samples.length + 1e-12);
  return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
}

export class Meter {
  private context: AudioContext | undefined;
  private source: MediaStreamAudioSourceNode | undefined;
  private frame: number | undefined;

  constructor(private readonly show: (level: number) => void) {}

  /** Follows `track`, or rests at 0 without one. */
  follow(track: MediaStreamTrack | undefined): void {
    if (this.frame !== undefined) cancelAnimationFrame(this.frame);
    this.frame = undefined;
    this.source?.disconnect();
    this.source = undefined;
    this.show(0);
    if (!track) {
      void this.context?.suspend();
      return;
    }
    this.context ??= new AudioContext();
    void this.context.resume();
    const analyser = this.context.createAnalyser();
    analyser.fftSize = 1024; // 21 ms at 48 kHz: a frame and a bit
    this.source = this.context.createMediaStreamSource(new MediaStream([track]));
    this.source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let shown = 0;
    const next = () => {
      analyser.getFloatTimeDomainData(samples);
      // Up at once, down slowly: as people expect of a meter.
      shown = Math.max(level(samples), shown * 0.88);
      this.show(shown);
      this.frame = requestAnimationFrame(next);
    };
    next();
  }
}
