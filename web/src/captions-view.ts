// The conversation as a list: one entry a caption, changed in place as its text grows, with the bar of
// the answer's latency below it. It keeps to the end unless the person has scrolled away from there.

import { type Caption, speakerName } from './captions.ts';
import { duration, inWords, parts, stageLabel, type Turn } from './latency.ts';

interface Entry {
  caption: Caption;
  item: HTMLLIElement;
  text: HTMLElement;
  bar: HTMLElement | undefined;
}

/** So near to the end, in px, counts as at the end. */
const NEAR = 48;

export class CaptionsView {
  private readonly entries = new Map<string, Entry>();
  private atEnd = true;

  constructor(
    private readonly list: HTMLOListElement,
    private readonly scroll: HTMLElement,
  ) {
    scroll.addEventListener('scroll', () => {
      this.atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR;
    });
    // A notice or a phone's keyboard takes room away: the end stays in sight.
    new ResizeObserver(() => this.keepEnd()).observe(scroll);
  }

  private keepEnd(): void {
    if (this.atEnd) this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  show(captions: readonly Caption[]): void {
    const there = new Set(captions.map((c) => c.key));
    for (const [key, entry] of this.entries) {
      if (there.has(key)) continue;
      entry.item.remove();
      this.entries.delete(key);
    }
    // All bars have one scale, so that a slow answer looks slow.
    const longest = Math.max(1000, ...captions.map((c) => c.turn?.totalMs ?? 0));
    for (const caption of captions) {
      const known = this.entries.get(caption.key);
      const entry = known ?? this.add(caption);
      if (!known || known.caption !== caption) this.fill(entry, caption);
      entry.bar?.style.setProperty('--share', String((caption.turn?.totalMs ?? 0) / longest));
    }
    this.keepEnd();
  }

  private add(caption: Caption): Entry {
    const item = document.createElement('li');
    const who = document.createElement('p');
    who.className = 'who';
    who.textContent = speakerName(caption);
    const text = document.createElement('p');
    text.className = 'text';
    text.dir = 'auto';
    item.append(who, text);
    this.list.append(item);
    const entry = { caption, item, text, bar: undefined };
    this.entries.set(caption.key, entry);
    return entry;
  }

  private fill(entry: Entry, caption: Caption): void {
    const before = entry.caption.turn;
    entry.caption = caption;
    entry.item.className = `${caption.speaker}${caption.final ? '' : ' partial'}`;
    if (entry.text.textContent !== caption.text) entry.text.textContent = caption.text;
    if (caption.turn && (!entry.bar || caption.turn !== before)) {
      const { figure, bar } = latency(caption.turn);
      entry.item.querySelector('.latency')?.remove();
      entry.item.append(figure);
      entry.bar = bar;
    }
  }
}

/** The bar of a turn; in words for screen readers, and in words for all when opened. */
function latency(turn: Turn): { figure: HTMLElement; bar: HTMLElement } {
  const figure = document.createElement('details');
  figure.className = 'latency';
  const summary = document.createElement('summary');
  const total = document.createElement('span');
  total.textContent = duration(turn.totalMs);
  const bar = document.createElement('span');
  bar.className = 'bar';
  bar.setAttribute('role', 'img');
  bar.setAttribute('aria-label', inWords(turn));
  const legend = document.createElement('ul');
  for (const stage of parts(turn)) {
    const piece = document.createElement('span');
    piece.dataset['stage'] = stage.name;
    piece.style.flexGrow = String(stage.ms);
    bar.append(piece);
    const line = document.createElement('li');
    const swatch = document.createElement('span');
    swatch.dataset['stage'] = stage.name;
    swatch.className = 'swatch';
    line.append(swatch, `${stageLabel(stage.name)} ${duration(stage.ms)}`);
    legend.append(line);
  }
  summary.append(bar, total);
  figure.append(summary, legend);
  return { figure, bar };
}
